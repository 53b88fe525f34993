#include "error.hpp"

#include <cstddef>

namespace sg {
namespace {

constexpr std::size_t kLength = 2048;
thread_local char last[kLength] = "";

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/** Bytes of the UTF-8 character that starts with `c`. */
std::size_t width(char c) {
  const auto byte = static_cast<unsigned char>(c);
  if (byte >= 0xF0) return 4;
  if (byte >= 0xE0) return 3;
  return byte >= 0xC0 ? 2 : 1;
}

}  // namespace

void set_last_error(const char* text) noexcept {
  std::size_t length = 0;
  while (*text != '\0') {
    if (is_space(*text)) {
      while (is_space(*text)) ++text;
      if (length > 0 && *text != '\0' && length + 1 < kLength) last[length++] = ' ';
      continue;
    }
    const std::size_t bytes = width(*text);
    if (length + bytes + 1 > kLength) break;  // cut before a character, not inside it
    for (std::size_t i = 0; i < bytes && *text != '\0'; ++i) last[length++] = *text++;
  }
  last[length] = '\0';
}

const char* last_error() noexcept { return last; }

}  // namespace sg
