/** A run with everything that it shows. */
#pragma once

#include <vector>

#include "samplegraph/samplegraph.hpp"

namespace sg::test {

struct Watched {
  std::vector<float> samples;
  std::vector<std::int64_t> places;  // done, total, step, first row, rows
  std::vector<float> x0;             // of all positions
};

/** M samples of a graph without conditions, one seed each. */
inline Watched watched(samplegraph::Engine& engine, std::int64_t samples) {
  Watched out;
  samplegraph::Request request;
  std::vector<std::uint64_t> seeds;
  for (std::int64_t m = 0; m < samples; ++m) seeds.push_back(static_cast<std::uint64_t>(m) + 4);
  request.seeds(seeds).watch([&](const sg_position& at) {
    for (const std::int64_t each : {at.done, at.total, at.step, at.first_row, at.shape[0]}) out.places.push_back(each);
    const auto* values = static_cast<const float*>(at.x0);
    std::size_t count = values != nullptr ? 1 : 0;
    for (std::size_t axis = 0; axis < at.rank; ++axis) count *= static_cast<std::size_t>(at.shape[axis]);
    out.x0.insert(out.x0.end(), values, values + count);
    return true;
  });
  const auto made = engine.sample(request);
  out.samples.assign(made.data<float>(), made.data<float>() + made.size());
  return out;
}

}  // namespace sg::test
