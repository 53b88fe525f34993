/** What a compiled sampler is, as text. */
#pragma once

#include <string>

#include "samplegraph/samplegraph.h"

namespace cli {

/** "float32 (3, M, 1, 16, 16)": names of free axes stand for their sizes. */
std::string tensor_text(const sg_tensor_info& tensor);
/** Several lines. */
std::string describe(const sg_manifest* manifest);

}  // namespace cli
