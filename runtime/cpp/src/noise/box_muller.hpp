/** Random words to standard normals, after Box and Muller, in the bits of samplegraph.runtime.noise.box_muller. */
#pragma once

#include <cstdint>

namespace sg::noise {

constexpr int kLanes = 8;

/**
 * Eight pairs: `first[i]`, `second[i]` from `w1[i]`, `w2[i]`; only the low 24 bits of a word count.
 *
 * Uses the processor's FMA where it has one, and the C library's exact fmaf elsewhere: the same bits.
 */
void normal_pairs(const std::uint32_t w1[kLanes], const std::uint32_t w2[kLanes], float first[kLanes],
                  float second[kLanes]);

/** The same without the processor's FMA; for tests. */
void normal_pairs_portable(const std::uint32_t w1[kLanes], const std::uint32_t w2[kLanes], float first[kLanes],
                           float second[kLanes]);

}  // namespace sg::noise
