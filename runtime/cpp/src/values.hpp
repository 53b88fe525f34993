/** The values of an input: allowed dtype, fitting, finite, in range. */
#pragma once

#include "inputs.hpp"

namespace sg {

/** Failure SG_BAD_ARGUMENT, in the words of the Python runtime: the first value that is not allowed, and its place. */
void check_values(const Tensor& tensor, const Given& given);

}  // namespace sg
