/** SHA-256 (FIPS 180-4), which the digests of files in a manifest are. */
#pragma once

#include <cstddef>
#include <string>

namespace sg {

/** 64 hexadecimal digits. */
std::string sha256(const void* data, std::size_t bytes);

}  // namespace sg
