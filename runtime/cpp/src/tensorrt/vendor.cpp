#include "tensorrt/vendor.hpp"

#include "error.hpp"
#include "text.hpp"

namespace sg::trt {
namespace {

[[noreturn, maybe_unused]] void not_built(const std::string& file, const char* builder, const char* root) {
  throw Failure(SG_NO_ENGINE, cat(file, ": needs ", builder, ", which this libsamplegraph was built without; build it with ",
                                  "-DSAMPLEGRAPH_TENSORRT=ON and ", root, ", or give the .onnx file"));
}

}  // namespace

std::shared_ptr<Vendor> open_vendor(const std::string& file, const std::string& builder,
                                    [[maybe_unused]] const std::string& path) {
  if (builder == "tensorrt") {
#ifdef SG_HAVE_TENSORRT
    return open_tensorrt(path);
#else
    not_built(file, "tensorrt", "TENSORRT_ROOT");
#endif
  }
  if (builder == "tensorrt-rtx") {
#ifdef SG_HAVE_TENSORRT_RTX
    return open_tensorrt_rtx(path);
#else
    not_built(file, "tensorrt-rtx", "TENSORRT_RTX_ROOT");
#endif
  }
  throw Failure(SG_BAD_FILE, cat(file, ": is an engine of ", in_quotes(builder), ", which this runtime does not know; ",
                                 "update samplegraph"));
}

}  // namespace sg::trt
