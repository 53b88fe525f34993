/** The noise of one call: initial noise and step noise of M samples, as samplegraph.runtime.noise.draw. */
#pragma once

#include <cstddef>
#include <cstdint>

#include "noise/sink.hpp"

namespace sg::noise {

/** Where the bits come from. `seeds` holds one seed for the whole batch, or (`each`) one per sample. */
struct Source {
  bool philox = false;
  bool each = false;
  const std::uint64_t* seeds = nullptr;
  bool uniform = false;  // numbers in [0, 1), float32 and of torch only, in place of normals
};

/**
 * Fill `noise` (samples, size) and `steps` (slices, samples, size), both in C order.
 *
 * torch, one seed: a draw of the batch's shape for the noise, then one per slice. torch, a seed per sample: one
 * generator each, drawing (1, size) first for the noise, then per slice. philox: key = seed, sample = row; with
 * a seed per sample: sample 0.
 */
void draw(const Source& source, std::size_t samples, std::size_t size, std::size_t slices, const Sink& noise,
          const Sink& steps);

}  // namespace sg::noise
