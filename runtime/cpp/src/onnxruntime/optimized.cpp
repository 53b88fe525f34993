#include "onnxruntime/optimized.hpp"

#include <cstdlib>
#include <utility>
#include <vector>

#include "error.hpp"
#include "text.hpp"

namespace sg::ort {
namespace {

/** `y = ReorderInput(x)`, x (1, 4, 1, 1), as ONNX: the four channels of y are padded to one block of this CPU. */
constexpr unsigned char kProbe[] = {
    8, 9, 58, 86, 10, 41, 10, 1, 120, 18, 1, 121, 34, 12, 82, 101, 111, 114, 100, 101, 114, 73, 110, 112, 117, 116,
    58, 19, 99, 111, 109, 46, 109, 105, 99, 114, 111, 115, 111, 102, 116, 46, 110, 99, 104, 119, 99, 18, 1, 103,
    90, 27, 10, 1, 120, 18, 22, 10, 20, 8, 1, 18, 16, 10, 2, 8, 1, 10, 2, 8, 4, 10, 2, 8, 1, 10, 2, 8, 1, 98, 9,
    10, 1, 121, 18, 4, 10, 2, 8, 1, 66, 4, 10, 0, 16, 20, 66, 23, 10, 19, 99, 111, 109, 46, 109, 105, 99, 114, 111,
    115, 111, 102, 116, 46, 110, 99, 104, 119, 99, 16, 1};

/** "1.31.1" -> (1, 31); what is not a version is older than all. */
std::pair<long, long> release(const std::string& version) {
  char* end = nullptr;
  const long major = std::strtol(version.c_str(), &end, 10);
  if (end == version.c_str() || *end != '.') return {-1, -1};
  return {major, std::strtol(end + 1, nullptr, 10)};
}

/** Releases a status; true where there was none. */
bool fine(const OrtApi& api, OrtStatus* status) {
  if (status != nullptr) api.ReleaseStatus(status);
  return status == nullptr;
}

/** Axis 1 of y; 0 if the probe does not run. */
std::int64_t probed(const Library& library, OrtSession* session) {
  const OrtApi& api = *library.api;
  OrtMemoryInfo* raw_memory = nullptr;
  if (!fine(api, api.CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &raw_memory))) return 0;
  const MemoryInfo memory(library, raw_memory);
  float data[4] = {0, 0, 0, 0};
  const std::int64_t shape[4] = {1, 4, 1, 1};
  OrtValue* raw = nullptr;
  if (!fine(api, api.CreateTensorWithDataAsOrtValue(memory.get(), data, sizeof data, shape, 4,
                                                    ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &raw))) {
    return 0;
  }
  const Value x(library, raw);
  const OrtValue* inputs[] = {x.get()};
  const char *input_names[] = {"x"}, *output_names[] = {"y"};
  raw = nullptr;
  if (!fine(api, api.Run(session, nullptr, input_names, inputs, 1, output_names, 1, &raw))) return 0;
  const Value y(library, raw);
  OrtTensorTypeAndShapeInfo* info = nullptr;
  if (!fine(api, api.GetTensorTypeAndShape(y.get(), &info))) return 0;
  std::int64_t found[4] = {0, 0, 0, 0};
  const bool known = fine(api, api.GetDimensions(info, found, 4));
  api.ReleaseTensorTypeAndShapeInfo(info);
  return known ? found[1] : 0;
}

}  // namespace

void load_as_it_stands(const Library& library, OrtSessionOptions* options, const std::string& file,
                       const OptimizedFor& optimized, const std::string& providers) {
  const char* plain = "use the plain graph, or export again here with --optimize-for cpu";
  if (optimized.provider != "cpu" || providers != "cpu") {
    throw Failure(SG_NO_ENGINE, cat(file, ": it was optimised for ", optimized.provider, " and cannot run with providers=",
                                    in_quotes(providers.substr(0, providers.find(','))), "; use cpu, or the plain graph"));
  }
  if (release(library.version) < release(optimized.onnxruntime)) {
    throw Failure(SG_NO_ENGINE, cat(file, ": ONNX Runtime ", optimized.onnxruntime, " optimised it and ", library.version,
                                    " is older; update onnxruntime, or ", plain));
  }
  if (optimized.channel_block != 0) {
    const std::int64_t here = channel_block(library);
    if (here != optimized.channel_block) {
      throw Failure(SG_NO_ENGINE,
                    cat(file, ": it was optimised for CPUs with blocks of ", std::to_string(optimized.channel_block),
                        " channels and this one has ", here == 0 ? std::string("none") : std::to_string(here), "; ", plain,
                        ", or --optimize-for any-cpu"));
    }
  }
  const OrtApi& api = *library.api;
  OrtStatus* status = api.SetSessionGraphOptimizationLevel(options, ORT_DISABLE_ALL);
  if (status == nullptr && !optimized.prepack) {
    status = api.AddSessionConfigEntry(options, "session.disable_prepacking", "1");
  }
  if (status != nullptr) {
    throw Failure(SG_NO_ENGINE, cat("ONNX Runtime refuses a session setting (", reason(library, status), ")"));
  }
}

std::int64_t channel_block(const Library& library) {
  const OrtApi& api = *library.api;
  OrtSessionOptions* raw_options = nullptr;
  if (!fine(api, api.CreateSessionOptions(&raw_options))) return 0;
  const SessionOptions options(library, raw_options);
  if (!fine(api, api.SetSessionGraphOptimizationLevel(raw_options, ORT_DISABLE_ALL)) ||
      !fine(api, api.SetIntraOpNumThreads(raw_options, 1)) ||
      !fine(api, api.SetSessionLogSeverityLevel(raw_options, ORT_LOGGING_LEVEL_FATAL))) {
    return 0;
  }
  OrtSession* raw = nullptr;
  if (!fine(api, api.CreateSessionFromArray(library.environment, kProbe, sizeof kProbe, raw_options, &raw))) return 0;
  const Session session(library, raw);
  return probed(library, session.get());
}

}  // namespace sg::ort
