/** What a caller sees of the sampler that a table makes of a graph. */
#include <algorithm>

#include "error.hpp"
#include "evaluations.hpp"
#include "samplegraph/samplegraph.h"
#include "text.hpp"

namespace sg {

Manifest with_table(const Manifest& manifest, const CoefficientTable& table) {
  Manifest out = manifest;
  out.json.clear();  // large, and of no use here
  out.recurrence->tables.clear();
  out.slices = table.noise_slices;
  const auto is_draws = [](const Tensor& each) { return each.role == SG_STEP_NOISE; };
  const auto draws = std::find_if(out.inputs.begin(), out.inputs.end(), is_draws);
  if (table.noise_slices == 0) {
    if (draws != out.inputs.end()) out.inputs.erase(draws);
  } else if (draws != out.inputs.end()) {
    draws->shape[0].size = table.noise_slices;
  } else {
    const Tensor* noise = manifest.input(SG_NOISE);
    const auto taken = [](const Tensor& each) { return each.name == "step_noise"; };
    if (noise == nullptr || std::any_of(out.inputs.begin(), out.inputs.end(), taken)) {
      throw Failure(SG_BAD_FILE, cat("the table of ", table.steps, " steps of ", manifest.name,
                                     " reads slices that are not there; export it again"));
    }
    Tensor made = *noise;
    made.name = "step_noise";
    made.description = "unit normal, one slice per draw";
    made.role = SG_STEP_NOISE;
    made.shape.insert(made.shape.begin(), {table.noise_slices, ""});
    out.inputs.insert(out.inputs.begin() + 1, std::move(made));
  }
  return out;
}

}  // namespace sg
