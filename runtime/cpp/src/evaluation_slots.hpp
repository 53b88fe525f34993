/** What each input and output of a graph of evaluations is. */
#pragma once

#include <cstddef>
#include <vector>

#include "manifest.hpp"

namespace sg {

/** Inputs and outputs in the graph's order; `index` is a register, or an input of the sampler. */
struct EvaluationSlots {
  enum class Kind { reg, timestep, coefficients, constants, draws, given, x0 };
  struct Slot {
    Kind kind = Kind::given;
    std::size_t index = 0;
  };
  std::vector<Slot> inputs, outputs;
};

/** Throws std::runtime_error that says what does not fit `manifest.recurrence`, or a type other than float32. */
EvaluationSlots evaluation_slots(const Manifest& manifest);

}  // namespace sg
