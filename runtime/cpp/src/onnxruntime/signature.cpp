#include "onnxruntime/signature.hpp"

#include <map>

#include "error.hpp"
#include "text.hpp"

namespace sg::ort {
namespace {

/** One input or output as the session describes it. */
struct Found {
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  std::vector<Axis> shape;
};

struct Row {
  std::int32_t dtype;
  ONNXTensorElementDataType type;
  const char* name;
};
constexpr Row kTypes[] = {
    {SG_FLOAT32, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, "float"},
    {SG_FLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, "float16"},
    {SG_BFLOAT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16, "bfloat16"},
    {SG_FLOAT64, ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, "double"},
    {SG_INT64, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, "int64"},
    {SG_INT32, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, "int32"},
    {SG_INT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16, "int16"},
    {SG_INT8, ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, "int8"},
    {SG_UINT64, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64, "uint64"},
    {SG_UINT32, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32, "uint32"},
    {SG_UINT16, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16, "uint16"},
    {SG_UINT8, ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, "uint8"},
    {SG_BOOL, ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, "bool"},
};

std::string type_text(ONNXTensorElementDataType type) {
  for (const Row& row : kTypes) {
    if (row.type == type) return cat("tensor(", row.name, ")");
  }
  return "of another type";
}

std::string axes_text(const std::vector<Axis>& shape) {
  std::string out = "[";
  for (const Axis& axis : shape) {
    if (out.size() > 1) out += ", ";
    if (!axis.symbolic()) out += std::to_string(axis.size);
    else out += axis.symbol.empty() ? "None" : in_quotes(axis.symbol);
  }
  return out + "]";
}

class Reader {
 public:
  Reader(const Library& library, OrtSession* session, const std::string& file)
      : library_(library), api_(*library.api), session_(session), file_(file) {
    ok(api_.GetAllocatorWithDefaultOptions(&allocator_));
  }

  std::map<std::string, Found> inputs() {
    std::size_t count = 0;
    ok(api_.SessionGetInputCount(session_, &count));
    return read(count, api_.SessionGetInputName, api_.SessionGetInputTypeInfo);
  }

  std::map<std::string, Found> outputs() {
    std::size_t count = 0;
    ok(api_.SessionGetOutputCount(session_, &count));
    return read(count, api_.SessionGetOutputName, api_.SessionGetOutputTypeInfo);
  }

 private:
  void ok(OrtStatus* status) const {
    if (status == nullptr) return;
    throw Failure(SG_BAD_FILE, cat(file_, ": ONNX Runtime cannot describe it (", reason(library_, status), ")"));
  }

  template <class GetName, class GetType>
  std::map<std::string, Found> read(std::size_t count, GetName get_name, GetType get_type) {
    std::map<std::string, Found> out;
    for (std::size_t i = 0; i < count; ++i) {
      char* name = nullptr;
      ok(get_name(session_, i, allocator_, &name));
      const std::string key = name;
      ok(api_.AllocatorFree(allocator_, name));
      OrtTypeInfo* raw = nullptr;
      ok(get_type(session_, i, &raw));
      const TypeInfo info(library_, raw);
      out[key] = describe(info.get());
    }
    return out;
  }

  Found describe(const OrtTypeInfo* info) {
    Found found;
    const OrtTensorTypeAndShapeInfo* tensor = nullptr;
    ok(api_.CastTypeInfoToTensorInfo(info, &tensor));
    if (tensor == nullptr) return found;
    ok(api_.GetTensorElementType(tensor, &found.type));
    std::size_t rank = 0;
    ok(api_.GetDimensionsCount(tensor, &rank));
    std::vector<std::int64_t> sizes(rank);
    std::vector<const char*> symbols(rank);
    ok(api_.GetDimensions(tensor, sizes.data(), rank));
    ok(api_.GetSymbolicDimensions(tensor, symbols.data(), rank));
    for (std::size_t i = 0; i < rank; ++i) found.shape.push_back({sizes[i] < 0 ? -1 : sizes[i], symbols[i]});
    return found;
  }

  const Library& library_;
  const OrtApi& api_;
  OrtSession* session_;
  const std::string& file_;
  OrtAllocator* allocator_ = nullptr;
};

bool same_shape(const std::vector<Axis>& expected, const std::vector<Axis>& found) {
  if (expected.size() != found.size()) return false;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (!expected[i].symbolic() && !found[i].symbolic() && expected[i].size != found[i].size) return false;
  }
  return true;
}

void compare(const std::string& file, const std::vector<Tensor>& expected, std::map<std::string, Found> graph) {
  for (const Tensor& tensor : expected) {
    if (tensor.dtype == SG_BFLOAT16) {
      throw Failure(SG_BAD_FILE, cat(file, ": ", tensor.name, " is bfloat16; export with a float32 edge"));
    }
    const auto found = graph.find(tensor.name);
    const bool there = found != graph.end();
    const ONNXTensorElementDataType type = element_type(tensor.dtype);
    if (!there || found->second.type != type || !same_shape(tensor.shape, found->second.shape)) {
      throw Failure(SG_BAD_FILE,
                    cat(file, ": the manifest says ", tensor.name, " is ", type_text(type), " ", axes_text(tensor.shape),
                        ", in the graph ",
                        there ? cat("it is ", type_text(found->second.type), " ", axes_text(found->second.shape))
                              : "it is not there",
                        "; export the file again"));
    }
    graph.erase(found);
  }
  std::string rest;
  for (const auto& [name, found] : graph) rest += (rest.empty() ? "" : ", ") + name;
  if (rest.empty()) return;
  throw Failure(SG_BAD_FILE,
                cat(file, ": the manifest does not name ", rest, " of the graph; export the file again"));
}

}  // namespace

ONNXTensorElementDataType element_type(std::int32_t dtype) { return kTypes[dtype - SG_FLOAT32].type; }

void compare_signature(const Library& library, OrtSession* session, const std::string& file, const Manifest& manifest) {
  Reader reader(library, session, file);
  compare(file, manifest.graph_inputs, reader.inputs());
  compare(file, manifest.graph_outputs, reader.outputs());
}

}  // namespace sg::ort
