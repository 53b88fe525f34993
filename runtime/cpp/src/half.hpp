/** IEEE half precision from and to wider floats, by bits: the same on every machine. */
#pragma once

#include <cstdint>
#include <cstring>

namespace sg {

/** A half as its bits. */
struct Half {
  std::uint16_t bits;
};

/** Exact. */
inline float half_to_float(Half half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half.bits & 0x8000u) << 16;
  std::uint32_t exponent = (half.bits >> 10) & 0x1Fu, fraction = half.bits & 0x3FFu, bits;
  if (exponent == 0x1F) {
    bits = sign | 0x7F800000u | (fraction << 13);
  } else if (exponent != 0) {
    bits = sign | ((exponent + 112) << 23) | (fraction << 13);
  } else {  // zero or subnormal: fraction * 2^-24, which float32 holds exactly
    const float value = static_cast<float>(fraction) * 5.9604644775390625e-8f;
    std::memcpy(&bits, &value, sizeof bits);
    bits |= sign;
  }
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/** Rounded once, to nearest even; too large becomes infinity, NaN stays NaN. A float32 goes through unchanged. */
inline Half double_to_half(double value) {
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const auto sign = static_cast<std::uint16_t>((bits >> 48) & 0x8000u);
  const int exponent = static_cast<int>((bits >> 52) & 0x7FF) - 1023;
  const std::uint64_t fraction = bits & 0xFFFFFFFFFFFFFull;
  if (exponent == 1024) return {static_cast<std::uint16_t>(sign | 0x7C00u | (fraction != 0 ? 0x200u : 0u))};
  if (exponent > 15) return {static_cast<std::uint16_t>(sign | 0x7C00u)};
  if (exponent < -25) return {sign};
  const std::uint64_t significand = fraction | (std::uint64_t{1} << 52);
  const int dropped = exponent >= -14 ? 42 : 42 + (-14 - exponent);  // bits below the half's last one
  const std::uint64_t kept = significand >> dropped, rest = significand & ((std::uint64_t{1} << dropped) - 1);
  const std::uint64_t tie = std::uint64_t{1} << (dropped - 1);
  const std::uint64_t up = rest > tie || (rest == tie && (kept & 1) != 0) ? 1 : 0;
  const std::uint64_t base = exponent >= -14 ? static_cast<std::uint64_t>(exponent + 14) << 10 : 0;
  return {static_cast<std::uint16_t>(sign | (base + kept + up))};  // a carry moves on into the exponent
}

}  // namespace sg
