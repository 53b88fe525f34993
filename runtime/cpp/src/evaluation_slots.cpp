#include "evaluation_slots.hpp"

#include <algorithm>
#include <string>

#include "chunk_links.hpp"
#include "json_fields.hpp"
#include "samplegraph/samplegraph.h"
#include "text.hpp"

namespace sg {
namespace {
using Kind = EvaluationSlots::Kind;

bool has_shape(const Tensor& tensor, const std::vector<std::int64_t>& sizes) {
  const auto same = [](const Axis& axis, std::int64_t size) { return !axis.symbolic() && axis.size == size; };
  return std::equal(tensor.shape.begin(), tensor.shape.end(), sizes.begin(), sizes.end(), same);
}

/** One of the slices of step_noise. */
Tensor slice_of(Tensor draws) {
  draws.shape.erase(draws.shape.begin());
  return draws;
}

class Reader {
 public:
  explicit Reader(const Manifest& manifest) : manifest_(manifest), sample_(manifest.graph_outputs[0]) {
    if (sample_.dtype != SG_FLOAT32) unfit(sample_);
    for (const std::int32_t role : {SG_NOISE, SG_INIT_SAMPLE}) {
      const Tensor* given = manifest.input(role);
      if (given != nullptr && !same_tensor(*given, sample_)) unfit(*given);
    }
    const Tensor* draws = manifest.input(SG_STEP_NOISE);
    if (draws != nullptr && !same_tensor(slice_of(*draws), sample_)) unfit(*draws);
  }

  EvaluationSlots read() {
    EvaluationSlots out;
    for (const Tensor& each : manifest_.graph_inputs) out.inputs.push_back(input(each));
    complete(true);
    for (const Tensor& each : manifest_.graph_outputs) {
      if (!same_tensor(each, sample_)) unfit(each);
      out.outputs.push_back({each.role == SG_X0 ? Kind::x0 : Kind::reg, each.role == SG_X0 ? 0 : reg(each, "")});
    }
    complete(false);
    return out;
  }

 private:
  [[noreturn]] void unfit(const Tensor& tensor) const {
    fields::damaged(cat(tensor.name, " does not fit a graph of one evaluation"));
  }

  /** The register that a tensor holds: sample, state_0, state_1... */
  std::size_t reg(const Tensor& tensor, const char* tail) {
    for (std::int64_t r = 0; r < manifest_.recurrence->registers; ++r) {
      if (tensor.name != cat(r == 0 ? std::string("sample") : cat("state_", r - 1), tail)) continue;
      ++registers_;
      return static_cast<std::size_t>(r);
    }
    unfit(tensor);
  }

  EvaluationSlots::Slot input(const Tensor& tensor) {
    const Recurrence& known = *manifest_.recurrence;
    switch (tensor.role) {
      case SG_CARRIED:
        if (!same_tensor(tensor, sample_)) unfit(tensor);
        return {Kind::reg, reg(tensor, kCarried)};
      case SG_TIMESTEP:
        if (!tensor.shape.empty() || tensor.dtype == SG_BFLOAT16 || known.evaluations != 1) unfit(tensor);
        return {Kind::timestep, 0};
      case SG_COEFFICIENTS:
        if (tensor.dtype != SG_FLOAT32 || !has_shape(tensor, table_shape())) unfit(tensor);
        return {Kind::coefficients, 0};
      case SG_CONSTANTS:
        if (!known.constants || tensor.dtype != SG_FLOAT32) unfit(tensor);
        if (!has_shape(tensor, {known.evaluations, known.constants->width})) unfit(tensor);
        return {Kind::constants, 0};
      case SG_STEP_NOISE:
        if (tensor.shape.empty() || tensor.shape[0].size != known.slices * known.evaluations) unfit(tensor);
        if (!same_tensor(slice_of(tensor), sample_)) unfit(tensor);
        return {Kind::draws, 0};
      default: return {Kind::given, given(tensor)};
    }
  }

  /** Of the coefficients: those of all evaluations of a call, unless the layout is that of one. */
  std::vector<std::int64_t> table_shape() const {
    const Recurrence& known = *manifest_.recurrence;
    std::vector<std::int64_t> shape = {2 + known.registers, known.registers + known.slices + 2};
    if (manifest_.layout != "step") shape.insert(shape.begin(), known.evaluations);
    return shape;
  }

  std::size_t given(const Tensor& tensor) const {
    for (std::size_t i = 0; i < manifest_.inputs.size(); ++i) {
      const Tensor& each = manifest_.inputs[i];
      if (each.name == tensor.name && each.role == tensor.role && same_tensor(each, tensor)) return i;
    }
    unfit(tensor);
  }

  /** Every register is there; names differ, so none twice. */
  void complete(bool inputs) {
    if (registers_ != manifest_.recurrence->registers) {
      fields::damaged(cat("its ", inputs ? "inputs" : "outputs", " do not hold all registers"));
    }
    registers_ = 0;
  }

  const Manifest& manifest_;
  const Tensor& sample_;
  std::int64_t registers_ = 0;
};

}  // namespace

EvaluationSlots evaluation_slots(const Manifest& manifest) { return Reader(manifest).read(); }

}  // namespace sg
