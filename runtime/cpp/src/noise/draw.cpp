#include "noise/draw.hpp"

#include "noise/philox_normal.hpp"
#include "noise/torch_generator.hpp"

namespace sg::noise {
namespace {

/** One draw of torch: randn or rand. */
void next(TorchGenerator& generator, const Source& source, const Sink& out, std::size_t count) {
  source.uniform ? generator.uniform(out, count) : generator.normal(out, count);
}

}  // namespace

void draw(const Source& source, std::size_t samples, std::size_t size, std::size_t slices, const Sink& noise,
          const Sink& steps) {
  const std::size_t whole = samples * size;
  const auto slice = [&](std::size_t k) { return k == 0 ? noise : steps.from((k - 1) * whole); };
  if (!source.philox && !source.each) {
    TorchGenerator generator(source.seeds[0]);
    for (std::size_t k = 0; k <= slices; ++k) next(generator, source, slice(k), whole);
    return;
  }
  for (std::size_t row = 0; row < samples; ++row) {
    const std::uint64_t seed = source.seeds[source.each ? row : 0];
    if (source.philox) {
      const auto sample = static_cast<std::uint32_t>(source.each ? 0 : row);
      for (std::size_t k = 0; k <= slices; ++k) {
        philox_normal(slice(k).from(row * size), size, seed, sample, static_cast<std::uint32_t>(k));
      }
      continue;
    }
    TorchGenerator generator(seed);
    for (std::size_t k = 0; k <= slices; ++k) next(generator, source, slice(k).from(row * size), size);
  }
}

}  // namespace sg::noise
