/** Structures of the C interface that begin with their size: read from, and written to, older and newer callers. */
#pragma once

#include <cstddef>
#include <cstring>

#include "error.hpp"
#include "text.hpp"

namespace sg {

/** A copy whose fields that the caller does not know are 0. A newer caller may only leave its further fields 0. */
template <class Struct>
Struct copy_struct(const Struct* from, const char* name) {
  const std::size_t size = from->struct_size;
  if (size < sizeof(std::size_t) || size > 4096) {
    throw Failure(SG_BAD_ARGUMENT, cat(name, ".struct_size=", std::to_string(size), " is not a size; set it to sizeof(",
                                       name, ")"));
  }
  const char* bytes = reinterpret_cast<const char*>(from);
  for (std::size_t i = sizeof(Struct); i < size; ++i) {
    if (bytes[i] == 0) continue;
    throw Failure(SG_BAD_ARGUMENT, cat(name, " sets a field that this library (interface ", SG_ABI_VERSION,
                                       ") does not know; update samplegraph"));
  }
  Struct out;
  std::memset(&out, 0, sizeof out);
  std::memcpy(&out, from, size < sizeof out ? size : sizeof out);
  return out;
}

/** Write what the caller has room for; keep its struct_size. */
template <class Struct>
void fill_struct(Struct* to, Struct from, const char* name) {
  if (to == nullptr) throw Failure(SG_BAD_ARGUMENT, cat("a pointer to ", name, " is null"));
  const std::size_t size = to->struct_size;
  if (size < sizeof(std::size_t) || size > 4096) {
    throw Failure(SG_BAD_ARGUMENT, cat(name, ".struct_size=", std::to_string(size), " is not a size; set it to sizeof(",
                                       name, ")"));
  }
  from.struct_size = size;
  std::memcpy(to, &from, size < sizeof from ? size : sizeof from);
}

}  // namespace sg
