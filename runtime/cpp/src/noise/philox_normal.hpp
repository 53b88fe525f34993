/** Normals that are functions of (seed, sample, slice, element) alone: samplegraph.runtime.noise.philox_normal. */
#pragma once

#include <cstddef>
#include <cstdint>

#include "noise/sink.hpp"

namespace sg::noise {

/** The `count` elements of one sample and one slice; slice 0 is the initial noise, k + 1 is step_noise[k]. */
void philox_normal(const Sink& out, std::size_t count, std::uint64_t seed, std::uint32_t sample, std::uint32_t slice);

}  // namespace sg::noise
