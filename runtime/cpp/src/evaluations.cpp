#include "evaluations.hpp"

#include <cstring>
#include <stdexcept>

#include "caller_memory.hpp"
#include "cast.hpp"
#include "error.hpp"
#include "evaluation_slots.hpp"
#include "text.hpp"

namespace sg {
namespace {
using Kind = EvaluationSlots::Kind;

constexpr std::size_t kTimestepBytes = sizeof(double);  // of every type that a timestep has

/** What all bindings of one table share: they only read it. */
struct Plan {
  const Manifest& manifest;
  const CoefficientTable& table;
  EvaluationSlots slots;
  struct Part {
    std::size_t end;    // one past its last call
    std::int64_t step;  // that has ended then
  };
  std::vector<Part> parts;
};

/** The registers lie in one of two sets of memory: each call reads the one and writes the other. */
class EvaluationsBinding : public Binding {
 public:
  EvaluationsBinding(const Plan& plan, Graph& graph)
      : plan_(plan), known_(*plan.manifest.recurrence), lane_(graph.lane()), memory_(plan.manifest, *lane_),
        calls_{graph.call(*lane_), graph.call(*lane_)} {
    for (std::vector<Mirror>& set : registers_) {
      for (std::int64_t r = 0; r < known_.registers; ++r) set.emplace_back(*lane_);
    }
  }

  void shape(const std::vector<Shape>& inputs, const Shape& output) override {
    if (memory_.has(inputs, output)) return;
    memory_.reserve(inputs, output);
    bytes_ = byte_count(SG_FLOAT32, output);
    for (std::vector<Mirror>& set : registers_) {
      for (Mirror& each : set) each.reserve(bytes_);
    }
    x0_.reserve(bytes_);
    timestep_.reserve(kTimestepBytes);
    coefficients_.reserve(row_bytes());
    if (constant_bytes() > 0) constants_.reserve(constant_bytes());
    Shape draws = output;
    draws.insert(draws.begin(), known_.slices * known_.evaluations);
    draws_.reserve(byte_count(SG_FLOAT32, draws));
    for (const std::size_t parity : {0u, 1u}) bind(parity, output, draws);
    load_tables();
    memory_.settled();
  }
  Mirror& input(std::size_t index) override { return memory_.input(index); }
  Mirror& output() override { return registers_[calls() % 2][0]; }
  Lane& lane() override { return *lane_; }
  std::size_t parts() const override { return plan_.parts.size(); }

  Position run(std::size_t part, StopSignal* stop, bool watched) override {
    std::size_t call = part == 0 ? 0 : plan_.parts[part - 1].end;
    if (part == 0) begin();
    for (; call < plan_.parts[part].end; ++call) {
      load_rows(call);
      calls_[call % 2]->run(stop);
    }
    if (watched) lane_->wait();
    return {plan_.parts[part].step, watched ? x0_.fetch() : nullptr};
  }

 private:
  std::size_t size() const { return static_cast<std::size_t>(known_.evaluations); }
  std::size_t calls() const { return plan_.table.evaluations() / size(); }
  /** Of a call. */
  std::size_t row_bytes() const { return plan_.table.coefficients.size() / calls() * sizeof(float); }
  std::size_t constant_bytes() const { return plan_.table.constants.size() / calls() * sizeof(float); }

  void bind(std::size_t parity, const Shape& output, const Shape& draws) {
    GraphCall& call = *calls_[parity];
    for (std::size_t i = 0; i < plan_.slots.inputs.size(); ++i) {
      const EvaluationSlots::Slot& slot = plan_.slots.inputs[i];
      if (slot.kind == Kind::reg) call.input(i, registers_[parity][slot.index].graph(), output);
      else if (slot.kind == Kind::timestep) call.input(i, timestep_.graph(), {});
      else if (slot.kind == Kind::coefficients) call.input(i, coefficients_.graph(), fixed(plan_.manifest.graph_inputs[i]));
      else if (slot.kind == Kind::constants) call.input(i, constants_.graph(), fixed(plan_.manifest.graph_inputs[i]));
      else if (slot.kind == Kind::draws) call.input(i, draws_.graph(), draws);
      else call.input(i, memory_.input(slot.index).graph(), memory_.shape(slot.index));
    }
    for (std::size_t i = 0; i < plan_.slots.outputs.size(); ++i) {
      const EvaluationSlots::Slot& slot = plan_.slots.outputs[i];
      call.output(i, slot.kind == Kind::x0 ? x0_.graph() : registers_[1 - parity][slot.index].graph(), output);
    }
  }

  static Shape fixed(const Tensor& tensor) {
    Shape shape;
    for (const Axis& axis : tensor.shape) shape.push_back(axis.size);
    return shape;
  }

  /** The memory of the caller's first input of that role; null where it has none. */
  Mirror* given(std::int32_t role) {
    const Tensor* tensor = plan_.manifest.input(role);
    if (tensor == nullptr) return nullptr;
    return &memory_.input(static_cast<std::size_t>(tensor - plan_.manifest.inputs.data()));
  }
  const float* given_values(std::int32_t role) {
    Mirror* memory = given(role);
    return memory != nullptr ? static_cast<const float*>(memory->fetch()) : nullptr;
  }

  void begin() {
    const float *noise = given_values(SG_NOISE), *from = given_values(SG_INIT_SAMPLE);
    const auto sigma = static_cast<float>(plan_.table.init_noise_sigma);
    const auto scale = static_cast<float>(plan_.table.init_sample_scale);
    auto* sample = static_cast<float*>(registers_[0][0].host());
    for (std::size_t i = 0; i < bytes_ / sizeof(float); ++i) {
      if (noise == nullptr) sample[i] = from[i] * scale;
      else sample[i] = from == nullptr ? noise[i] * sigma : noise[i] * sigma + from[i] * scale;
    }
    registers_[0][0].send();
    for (std::size_t r = 1; r < registers_[0].size(); ++r) lane_->clear(registers_[0][r].graph(), bytes_);
  }

  /** The whole table, where the lane can copy a row of it at a time. */
  void load_tables() {
    const std::size_t evaluations = plan_.table.evaluations();
    timesteps_.reserve(evaluations * kTimestepBytes);
    rows_.reserve(calls() * row_bytes());
    for (std::size_t i = 0; i < plan_.slots.inputs.size(); ++i) {
      if (plan_.slots.inputs[i].kind != Kind::timestep) continue;
      for (std::size_t e = 0; e < evaluations; ++e) {
        void* to = static_cast<char*>(timesteps_.host()) + e * kTimestepBytes;
        std::memset(to, 0, kTimestepBytes);
        cast_default(plan_.manifest.graph_inputs[i].dtype, to, plan_.table.timesteps[e]);
      }
    }
    std::memcpy(rows_.host(), plan_.table.coefficients.data(), calls() * row_bytes());
    timesteps_.send();
    rows_.send();
    if (constant_bytes() == 0) return;
    every_constant_.reserve(calls() * constant_bytes());
    std::memcpy(every_constant_.host(), plan_.table.constants.data(), calls() * constant_bytes());
    every_constant_.send();
  }

  /** What the evaluations of a call read of the table. */
  void load_rows(std::size_t call) {
    const std::size_t row = row_bytes(), told = call * size() * kTimestepBytes;
    lane_->copy(timestep_.graph(), static_cast<char*>(timesteps_.graph()) + told, kTimestepBytes);
    lane_->copy(coefficients_.graph(), static_cast<char*>(rows_.graph()) + call * row, row);
    if (const std::size_t bytes = constant_bytes(); bytes > 0) {
      lane_->copy(constants_.graph(), static_cast<char*>(every_constant_.graph()) + call * bytes, bytes);
    }
    for (std::size_t k = 0; k < size(); ++k) load_draws(call * size() + k, k);
  }

  /** The draws of evaluation `e`, the `place`th of its call. */
  void load_draws(std::size_t e, std::size_t place) {
    const std::size_t offset = place * static_cast<std::size_t>(known_.slices) * bytes_;
    auto* draws = static_cast<char*>(draws_.graph()) + offset;
    const std::vector<std::int64_t>& read = plan_.table.slices[e];
    for (std::size_t k = 0; k < static_cast<std::size_t>(known_.slices); ++k) {
      if (k >= read.size()) {
        lane_->clear(draws + k * bytes_, bytes_);
        continue;
      }
      const auto* steps = static_cast<const char*>(given(SG_STEP_NOISE)->graph());
      lane_->copy(draws + k * bytes_, steps + static_cast<std::size_t>(read[k]) * bytes_, bytes_);
    }
  }

  const Plan& plan_;
  const Recurrence& known_;
  std::shared_ptr<Lane> lane_;  // outlives what follows
  CallerMemory memory_;
  std::vector<Mirror> registers_[2];
  Mirror x0_{*lane_}, timestep_{*lane_}, coefficients_{*lane_}, constants_{*lane_}, draws_{*lane_};
  Mirror timesteps_{*lane_}, rows_{*lane_}, every_constant_{*lane_};  // of all evaluations
  std::unique_ptr<GraphCall> calls_[2];
  std::size_t bytes_ = 0;  // of one register
};

class Evaluations : public GraphBackend {
 public:
  Evaluations(const Manifest& manifest, std::shared_ptr<Graph> graph, const CoefficientTable& table)
      : GraphBackend(std::move(graph)), plan_{manifest, table, evaluation_slots(manifest), {}} {
    const auto size = static_cast<std::size_t>(manifest.recurrence->evaluations);
    for (std::size_t e = 0; e < table.evaluations(); ++e) {
      if (!table.ends_step(e)) continue;
      const Plan::Part part = {e / size + 1, table.step_of[e]};
      if (!plan_.parts.empty() && plan_.parts.back().end == part.end) plan_.parts.back() = part;
      else plan_.parts.push_back(part);
    }
  }
  std::unique_ptr<Binding> bind() override { return std::make_unique<EvaluationsBinding>(plan_, *graph_); }

 private:
  Plan plan_;
};

}  // namespace

void check_evaluation(const std::string& path, const Manifest& manifest) {
  try {
    evaluation_slots(manifest);
  } catch (const std::runtime_error& error) {
    throw Failure(SG_BAD_FILE, cat(path, ": the manifest is damaged (", error.what(), "); export the file again"));
  }
}

std::unique_ptr<Backend> by_evaluations(const Manifest& manifest, std::shared_ptr<Graph> graph,
                                        const CoefficientTable& table) {
  return std::make_unique<Evaluations>(manifest, std::move(graph), table);
}

}  // namespace sg
