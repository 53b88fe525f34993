#include "cli/npy.hpp"

#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include "cli/error.hpp"

namespace cli {
namespace {

struct Type {
  sg_dtype dtype;
  const char* text;
};
constexpr Type kTypes[] = {{SG_FLOAT32, "<f4"}, {SG_FLOAT16, "<f2"}, {SG_FLOAT64, "<f8"}, {SG_INT64, "<i8"},
                           {SG_INT32, "<i4"},   {SG_INT16, "<i2"},   {SG_INT8, "|i1"},    {SG_UINT64, "<u8"},
                           {SG_UINT32, "<u4"},  {SG_UINT16, "<u2"},  {SG_UINT8, "|u1"},   {SG_BOOL, "|b1"}};

/** The text after 'key': in the header's dictionary, up to the end. */
std::string after(const std::string& header, const std::string& key) {
  const std::size_t at = header.find("'" + key + "':");
  if (at == std::string::npos) return "";
  return header.substr(header.find_first_not_of(' ', at + key.size() + 3));
}

bool parse_shape(const std::string& text, std::vector<std::int64_t>& shape) {
  if (text.empty() || text[0] != '(') return false;
  for (std::size_t at = 1; at < text.size();) {
    if (text[at] == ')') return true;
    if (text[at] == ' ' || text[at] == ',') {
      ++at;
      continue;
    }
    std::int64_t size = 0;
    const std::size_t start = at;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at) {
      if (size > (std::int64_t{1} << 48)) return false;
      size = 10 * size + (text[at] - '0');
    }
    if (at == start || shape.size() > 32) return false;
    shape.push_back(size);
  }
  return false;
}

/** Column order to row order. */
std::vector<char> reordered(const Value& value, std::size_t width) {
  std::vector<char> out(value.bytes.size());
  const std::size_t count = value.size();
  for (std::size_t i = 0; i < count; ++i) {
    std::size_t rest = i, from = 0, stride = 1;
    std::vector<std::size_t> index(value.shape.size());
    for (std::size_t axis = value.shape.size(); axis-- > 0;) {
      index[axis] = rest % static_cast<std::size_t>(value.shape[axis]);
      rest /= static_cast<std::size_t>(value.shape[axis]);
    }
    for (std::size_t axis = 0; axis < value.shape.size(); ++axis) {
      from += index[axis] * stride;
      stride *= static_cast<std::size_t>(value.shape[axis]);
    }
    std::memcpy(out.data() + i * width, value.bytes.data() + from * width, width);
  }
  return out;
}

}  // namespace

Value read_npy(const std::string& path, const std::string& name) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) {
    refuse(name, "=@", path, ": cannot be read (", std::generic_category().message(errno), "); give a .npy file");
  }
  const auto unusable = [&](const std::string& reason) {
    refuse(name, "=@", path, ": not a usable .npy file (", reason, "); write it with numpy.save");
  };
  unsigned char start[12] = {};
  const bool wide = std::fread(start, 1, 10, file.get()) == 10 && start[6] > 1;
  if (std::memcmp(start, "\x93NUMPY", 6) != 0) unusable("it does not begin as one");
  if (wide && std::fread(start + 10, 1, 2, file.get()) != 2) unusable("it is cut off");
  std::size_t length = start[8] + 256u * start[9];
  if (wide) length += 65536u * start[10] + 16777216u * start[11];
  if (length > (1u << 20)) unusable("its header is too long");
  std::string header(length, '\0');
  if (std::fread(header.data(), 1, length, file.get()) != length) unusable("it is cut off");

  Value out;
  out.kind = Value::Kind::array;
  const std::string descr = after(header, "descr"), order = after(header, "fortran_order");
  bool known = false;
  for (const Type& type : kTypes) {
    if (descr.rfind("'" + std::string(type.text) + "'", 0) != 0) continue;
    out.dtype = type.dtype;
    known = true;
  }
  if (!known) unusable("its numbers are " + descr.substr(0, descr.find(',')));
  if (!parse_shape(after(header, "shape"), out.shape)) unusable("its shape cannot be read");
  std::size_t bytes = sg_dtype_size(out.dtype);
  for (const std::int64_t axis : out.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(axis), &bytes)) unusable("its shape is too large");
  }
  std::fseek(file.get(), 0, SEEK_END);
  const long end = std::ftell(file.get());
  const std::size_t data = 10u + (wide ? 2u : 0u) + length;
  if (end < 0 || static_cast<std::size_t>(end) - data < bytes) unusable("it is cut off");
  std::fseek(file.get(), static_cast<long>(data), SEEK_SET);
  out.bytes.resize(bytes);
  if (std::fread(out.bytes.data(), 1, bytes, file.get()) != bytes) unusable("it is cut off");
  if (order.rfind("True", 0) == 0) out.bytes = reordered(out, sg_dtype_size(out.dtype));
  return out;
}

std::string npy_bytes(const samplegraph::Array& array) {
  std::string shape, descr;
  for (const Type& type : kTypes) {
    if (type.dtype == array.dtype()) descr = type.text;
  }
  if (descr.empty()) refuse("samples of ", sg_dtype_name(array.dtype()), " cannot be written as .npy");
  for (const std::int64_t axis : array.shape()) shape += (shape.empty() ? "" : ", ") + std::to_string(axis);
  if (array.shape().size() == 1) shape += ",";
  std::string header = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  // numpy leaves room to grow the first axis in place, and pads to a multiple of 64
  if (!array.shape().empty()) header += std::string(21 - std::to_string(array.shape()[0]).size(), ' ');
  header += std::string(63 - (10 + header.size()) % 64, ' ') + '\n';
  std::string out("\x93NUMPY\x01\x00", 8);
  out += static_cast<char>(header.size() & 0xFF);
  out += static_cast<char>(header.size() >> 8);
  return out + header + std::string(array.bytes().begin(), array.bytes().end());
}

}  // namespace cli
