/**
 * Files in the user's cache folder: what takes long to make again, and can be made again where it is gone. As the Python
 * runtime has them: a file begins with the SHA-256 of the rest, in hexadecimal digits.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace sg {

/** $SAMPLEGRAPH_CACHE, or the platform's folder for such; "" where that is empty or there is none. */
std::string cache_folder();

/** The rest of a file; "" where it is gone or damaged. */
std::string read_kept(const std::string& path);

/**
 * Write `path`, if its folder can be written to; a reader finds all of it, or what was there before. Of files in the
 * folder with the same suffix those go that were not used longest, beyond `limit` bytes.
 */
void write_kept(const std::string& path, const std::string& data, std::uintmax_t limit = 256u << 20);

}  // namespace sg
