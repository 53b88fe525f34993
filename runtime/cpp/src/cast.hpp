/** Arrays from the caller's dtype to the graph's, with numpy's roundings. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "half.hpp"
#include "samplegraph/samplegraph.h"

namespace sg {

/** A bool as its byte: a bool object may hold nothing but 0 and 1, a caller's byte may. */
struct Truth {
  std::uint8_t byte;
};

template <class T>
T load(const void* data, std::size_t index) {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + index * sizeof(T), sizeof(T));
  return value;
}

/** One element as numpy casts it: halves go through float32 where they come from whole numbers. */
template <class To, class From>
To cast_value(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<From, Half>) {
    return static_cast<To>(half_to_float(value));
  } else if constexpr (std::is_same_v<To, Half> && std::is_integral_v<From>) {
    return double_to_half(static_cast<float>(value));
  } else if constexpr (std::is_same_v<To, Half>) {
    return double_to_half(value);
  } else {
    return static_cast<To>(value);
  }
}

/** Call `body` with a value of the C++ type of `dtype`, which is not bfloat16. */
template <class Body>
decltype(auto) with_type(std::int32_t dtype, Body&& body) {
  switch (dtype) {
    case SG_FLOAT32: return body(float{});
    case SG_FLOAT16: return body(Half{});
    case SG_FLOAT64: return body(double{});
    case SG_INT64: return body(std::int64_t{});
    case SG_INT32: return body(std::int32_t{});
    case SG_INT16: return body(std::int16_t{});
    case SG_INT8: return body(std::int8_t{});
    case SG_UINT64: return body(std::uint64_t{});
    case SG_UINT32: return body(std::uint32_t{});
    case SG_UINT16: return body(std::uint16_t{});
    case SG_UINT8: return body(std::uint8_t{});
    default: return body(Truth{});
  }
}

template <class T>
constexpr bool is_float = std::is_floating_point_v<T> || std::is_same_v<T, Half>;

/** Whether an array of From may be given for an input of To: whole numbers for floats, but not the reverse. */
template <class To, class From>
constexpr bool castable = std::is_same_v<To, Truth> || std::is_same_v<From, Truth>
                              ? std::is_same_v<To, From>
                              : is_float<To> || !is_float<From>;

/** Call `body(To{}, From{})` where that cast is allowed; elsewhere return false. */
template <class Body>
bool with_cast(std::int32_t to, std::int32_t from, Body&& body) {
  if (to == SG_BFLOAT16 || from == SG_BFLOAT16) return false;
  return with_type(to, [&](auto to_value) {
    using To = decltype(to_value);
    if constexpr (is_float<To> || std::is_same_v<To, std::int64_t> || std::is_same_v<To, std::int32_t> ||
                  std::is_same_v<To, Truth>) {
      return with_type(from, [&](auto from_value) {
        using From = decltype(from_value);
        if constexpr (castable<To, From>) {
          body(to_value, from_value);
          return true;
        } else {
          return false;
        }
      });
    } else {
      return false;
    }
  });
}

/** `count` elements from `data`, element `at` on; the values were checked before. */
inline void cast_elements(std::int32_t to, void* out, std::int32_t from, const void* data, std::size_t at,
                          std::size_t count) {
  with_cast(to, from, [&](auto to_value, auto from_value) {
    using To = decltype(to_value);
    using From = decltype(from_value);
    if constexpr (std::is_same_v<To, From>) {
      std::memcpy(out, static_cast<const char*>(data) + at * sizeof(From), count * sizeof(From));
    } else {
      for (std::size_t i = 0; i < count; ++i) {
        const To value = cast_value<To>(load<From>(data, at + i));
        std::memcpy(static_cast<char*>(out) + i * sizeof(To), &value, sizeof(To));
      }
    }
  });
}

/** One element of `dtype` from a manifest's default. */
inline void cast_default(std::int32_t dtype, void* out, double value) {
  with_type(dtype, [&](auto type) {
    using To = decltype(type);
    if constexpr (std::is_same_v<To, Truth>) {
      const auto truth = static_cast<std::uint8_t>(value != 0);
      std::memcpy(out, &truth, 1);
    } else {
      const To cast = cast_value<To>(value);
      std::memcpy(out, &cast, sizeof cast);
    }
  });
}

}  // namespace sg
