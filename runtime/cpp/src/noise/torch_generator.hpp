/** torch.randn and torch.rand on the CPU, without torch: see samplegraph.runtime.noise.torch_generator, the specification. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>

#include "noise/sink.hpp"

namespace sg::noise {

/** A stream of random numbers with a state. As in torch only the low 32 bits of the seed matter. */
class TorchGenerator {
 public:
  explicit TorchGenerator(std::uint64_t seed) : engine_(static_cast<std::uint32_t>(seed)) {}

  /** One draw of `count` elements: torch.randn(count, generator=self, dtype=...). */
  void normal(const Sink& out, std::size_t count);
  /** One draw of `count` float32 elements: torch.rand(count, generator=self). */
  void uniform(const Sink& out, std::size_t count);

 private:
  std::uint32_t word() { return static_cast<std::uint32_t>(engine_()); }
  void block(const Sink& out, std::size_t at);
  double short_normal();

  std::mt19937 engine_;
  double cached_ = 0;
  bool has_cached_ = false;
};

}  // namespace sg::noise
