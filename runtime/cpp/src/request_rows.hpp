/** How many samples a request asks for, and the axes that follow from it. */
#pragma once

#include "request.hpp"

namespace sg {

inline bool is_noise(const Tensor& tensor) { return tensor.role == SG_NOISE || tensor.role == SG_STEP_NOISE; }

/** What a caller calls it: noise goes by its role, conditions by their names. */
inline const char* argument_name(const Tensor& tensor) {
  if (is_noise(tensor)) return tensor.role == SG_NOISE ? "noise" : "step_noise";
  return tensor.name.c_str();
}

/**
 * Set `call.samples`, on which all that has one row per sample agrees, and the shapes of one call of the graph.
 *
 * Failure SG_BAD_ARGUMENT: rows disagree, or a symbolic axis that several inputs share has two sizes.
 */
void settle_rows(const Manifest& manifest, const sg_request& request, Call& call);

}  // namespace sg
