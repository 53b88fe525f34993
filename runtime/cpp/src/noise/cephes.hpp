/**
 * log, sin and cos of float32 values in a fixed sequence of float32 operations: the same bits everywhere.
 *
 * A translation of samplegraph.runtime.noise.cephes, whose text is the specification. Compile with
 * -ffp-contract=off and never with -ffast-math: each operation is rounded once, and only std::fma is fused.
 */
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__GNUC__)
#define SG_INLINE inline __attribute__((always_inline))  // into functions compiled for another processor
#else
#define SG_INLINE inline
#endif

namespace sg::noise {

SG_INLINE std::int32_t bits_of(float value) {
  std::int32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

SG_INLINE float float_of(std::int32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/** Natural logarithm of a normal float32 > 0. */
SG_INLINE float log(float u) {
  constexpr float coefficients[] = {-1.1514610310e-1f, 1.1676998740e-1f,  -1.2420140846e-1f, 1.4249322787e-1f,
                                    -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f};
  const std::int32_t bits = bits_of(u);
  const float m = float_of((bits & 0x007FFFFF) | 0x3F000000);
  const bool small = m < 0.707106781186547524f;
  const float exponent = static_cast<float>((bits >> 23) - 126 - (small ? 1 : 0));
  float x = m - 1.0f;
  x = x + (small ? m : 0.0f);
  const float z = x * x;
  float y = 7.0376836292e-2f;
  for (const float k : coefficients) y = std::fma(y, x, k);
  y = y * x;
  y = std::fma(y, z, exponent * -2.12194440e-4f);
  y = y - z * 0.5f;
  x = x + y;
  return x + exponent * 0.693359375f;
}

/** Sine and cosine of a float32 in [0, 8192). */
SG_INLINE void sincos(float theta, float& sine, float& cosine) {
  std::int32_t j = static_cast<std::int32_t>(theta * 1.27323954473516f);
  j = (j + 1) & ~1;
  const float y = static_cast<float>(j);
  float x = theta + y * -0.78515625f;
  x = x + y * -2.4187564849853515625e-4f;
  x = std::fma(y, -3.77489497744594108e-8f, x);
  const float z = x * x;
  float c = std::fma(2.443315711809948e-5f, z, -1.388731625493765e-3f);
  c = std::fma(c, z, 4.166664568298827e-2f);
  c = std::fma(c * z, z, -(z * 0.5f));
  c = c + 1.0f;
  float s = std::fma(-1.9515295891e-4f, z, 8.3321608736e-3f);
  s = std::fma(s, z, -1.6666654611e-1f);
  s = std::fma(s * z, x, x);
  const bool swap = (j & 2) != 0;
  sine = float_of(bits_of(swap ? c : s) ^ static_cast<std::int32_t>(static_cast<std::uint32_t>(j & 4) << 29));
  cosine = float_of(bits_of(swap ? s : c) ^ static_cast<std::int32_t>(static_cast<std::uint32_t>((j + 2) & 4) << 29));
}

}  // namespace sg::noise
