#include "noise/box_muller.hpp"

#include "noise/cephes.hpp"

#if defined(__FAST_MATH__)
#error "-ffast-math changes the bits of the noise; compile without it"
#endif

namespace sg::noise {
namespace {

SG_INLINE void pairs(const std::uint32_t* w1, const std::uint32_t* w2, float* first, float* second) {
  for (int i = 0; i < kLanes; ++i) {
    const float u1 = 1.0f - static_cast<float>(static_cast<std::int32_t>(w1[i] & 0xFFFFFFu)) * 0x1p-24f;
    const float u2 = static_cast<float>(static_cast<std::int32_t>(w2[i] & 0xFFFFFFu)) * 0x1p-24f;
    const float theta = u2 * 6.283185307179586f;
    const float radius = std::sqrt(log(u1) * -2.0f);
    float sine, cosine;
    sincos(theta, sine, cosine);
    first[i] = cosine * radius + 0.0f;
    second[i] = sine * radius + 0.0f;
  }
}

using Pairs = void (*)(const std::uint32_t*, const std::uint32_t*, float*, float*);

#if defined(__GNUC__) && defined(__x86_64__) && !defined(__FMA__)
__attribute__((target("avx2,fma"))) void pairs_fma(const std::uint32_t* w1, const std::uint32_t* w2, float* first,
                                                   float* second) {
  pairs(w1, w2, first, second);
}
Pairs best() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? pairs_fma : pairs; }
#else
Pairs best() { return pairs; }
#endif

}  // namespace

void normal_pairs_portable(const std::uint32_t w1[kLanes], const std::uint32_t w2[kLanes], float first[kLanes],
                           float second[kLanes]) {
  pairs(w1, w2, first, second);
}

void normal_pairs(const std::uint32_t w1[kLanes], const std::uint32_t w2[kLanes], float first[kLanes],
                  float second[kLanes]) {
  static const Pairs function = best();
  function(w1, w2, first, second);
}

}  // namespace sg::noise
