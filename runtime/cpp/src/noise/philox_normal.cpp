#include "noise/philox_normal.hpp"

#include <algorithm>

#include "noise/box_muller.hpp"
#include "noise/philox.hpp"

namespace sg::noise {

void philox_normal(const Sink& out, std::size_t count, std::uint64_t seed, std::uint32_t sample, std::uint32_t slice) {
  const auto k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  constexpr std::size_t kElements = 2 * kLanes;
  for (std::size_t at = 0; at < count; at += kElements) {
    std::uint32_t w1[kLanes], w2[kLanes];
    float first[kLanes], second[kLanes], values[kElements];
    for (int i = 0; i < kLanes / 2; ++i) {  // a block of four words gives two pairs
      const auto block = static_cast<std::uint32_t>(at / 4 + static_cast<std::size_t>(i));
      const auto words = philox4x32({block, slice, sample, 0}, k0, k1);
      w1[2 * i] = words[0];
      w2[2 * i] = words[1];
      w1[2 * i + 1] = words[2];
      w2[2 * i + 1] = words[3];
    }
    normal_pairs(w1, w2, first, second);
    for (int i = 0; i < kLanes; ++i) {
      values[2 * i] = first[i];
      values[2 * i + 1] = second[i];
    }
    out.store(at, values, std::min(kElements, count - at));
  }
}

}  // namespace sg::noise
