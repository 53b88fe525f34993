#include "onnxruntime/precision.hpp"

#include <array>

#include "error.hpp"
#include "text.hpp"

namespace sg::ort {
namespace {

constexpr std::array kBfloat16 = {"cuda", "tensorrt", "nvtensorrtrtx", "migraphx"};

bool have_bfloat16(const std::string& providers) {
  const std::string list = "," + providers + ",";
  for (const char* name : kBfloat16) {
    if (list.find(cat(",", name, ",")) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

void suit_precision(const Library& library, OrtSessionOptions* options, const std::string& precision,
                    const std::string& providers) {
  if (precision == "bf16" && !have_bfloat16(providers)) {
    throw Failure(SG_NO_ENGINE, cat("providers=", providers,
                                    " cannot run a bfloat16 network, which takes one of cuda, tensorrt, nvtensorrtrtx, "
                                    "migraphx (samplegraph[gpu]); or export it with --precision fp16"));
  }
  if (precision != "int8" || providers != "cpu") return;
  if (OrtStatus* status = library.api->AddSessionConfigEntry(options, "session.disable_quant_qdq", "1")) {
    throw Failure(SG_NO_ENGINE, cat("ONNX Runtime refuses a session setting (", reason(library, status), ")"));
  }
}

}  // namespace sg::ort
