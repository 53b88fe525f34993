/** Text of error messages, in the words and number formats of the Python runtime. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace sg {

namespace detail {
inline void add(std::string& out, std::string_view part) { out += part; }
inline void add(std::string& out, const char* part) { out += part; }
inline void add(std::string& out, std::int64_t part) { out += std::to_string(part); }
inline void add(std::string& out, std::uint64_t part) { out += std::to_string(part); }
inline void add(std::string& out, int part) { out += std::to_string(part); }
}  // namespace detail

/** All parts, one after another. */
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::string out;
  (detail::add(out, parts), ...);
  return out;
}

/** Whether `text` ends with `end`. */
bool ends_with(std::string_view text, std::string_view end);
/** As Python's repr: the shortest digits that give the value back, "3.0", "1e+20", "nan", "-inf". */
std::string float_repr(double value);
/** As "%g" in the C locale. */
std::string float_short(double value);
/** 'text', as Python's repr. */
std::string in_quotes(std::string_view text);
/** Every run of white space as one space, cut at `limit` bytes with "...". */
std::string one_line(std::string_view text, std::size_t limit = 300);
/** A tuple: "()", "(3,)", "(3, 4)". */
std::string tuple_text(const std::int64_t* values, std::size_t count);

}  // namespace sg
