/** numpy's .npy files, versions 1 to 3. */
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/value.hpp"

namespace cli {

/** Read the array for the input `name`. Throws UsageError: missing, damaged, of objects, big-endian. */
Value read_npy(const std::string& path, const std::string& name);

/** The bytes of a .npy file, equal to those that numpy.save writes. */
std::string npy_bytes(const samplegraph::Array& array);

}  // namespace cli
