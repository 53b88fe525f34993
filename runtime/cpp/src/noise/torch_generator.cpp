#include "noise/torch_generator.hpp"

#include <cmath>

#include "noise/box_muller.hpp"

namespace sg::noise {
namespace {
constexpr std::size_t kBlock = 2 * kLanes;
}

void TorchGenerator::normal(const Sink& out, std::size_t count) {
  if (count < kBlock) {
    for (std::size_t i = 0; i < count; ++i) {
      const float value = static_cast<float>(short_normal());
      out.store(i, &value, 1);
    }
    return;
  }
  const std::size_t rest = count % kBlock;
  for (std::size_t at = 0; at + kBlock <= count; at += kBlock) block(out, at);
  if (rest == 0) return;
  if (out.type() == Type::float32) engine_.discard(rest);  // a half draw takes its words block by block
  block(out, count - kBlock);
}

/** The low 24 bits of one word per element. */
void TorchGenerator::uniform(const Sink& out, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const float value = static_cast<float>(word() & ((std::uint32_t{1} << 24) - 1)) * 0x1p-24f;
    out.store(i, &value, 1);
  }
}

/** Sixteen words give sixteen elements: word j and word j + 8 give elements j (cosine) and j + 8 (sine). */
void TorchGenerator::block(const Sink& out, std::size_t at) {
  std::uint32_t words[kBlock];
  float values[kBlock];
  for (std::uint32_t& each : words) each = word();
  normal_pairs(words, words + kLanes, values, values + kLanes);
  out.store(at, values, kBlock);
}

/** Draws of fewer than 16 elements: double precision, one pair at a time, the second kept for later. */
double TorchGenerator::short_normal() {
  if (has_cached_) {
    has_cached_ = false;
    return cached_;
  }
  const auto uniform = [this] {
    const std::uint64_t high = word(), low = word();
    return static_cast<double>((high << 32 | low) & ((std::uint64_t{1} << 53) - 1)) * 0x1p-53;
  };
  const double u1 = uniform(), u2 = uniform();
  const double radius = std::sqrt(-2.0 * std::log1p(-u2)), theta = 2.0 * 3.141592653589793 * u1;
  cached_ = radius * std::sin(theta) + 0.0;
  has_cached_ = true;
  return radius * std::cos(theta) + 0.0;
}

}  // namespace sg::noise
