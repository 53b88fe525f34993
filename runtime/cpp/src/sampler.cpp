#include "sampler.hpp"

#include <algorithm>

#include "chunks.hpp"
#include "error.hpp"
#include "evaluations.hpp"
#include "text.hpp"

namespace sg {
namespace {

constexpr const char* kLayouts[] = {"unrolled", "loop", "chunked", "step", "repeated"};
constexpr const char* kReserved[] = {"seed", "samples", "rng", "progress", "preview", "steps", "device_output"};

}  // namespace

void check_drivable(const std::string& path, const Manifest& manifest) {
  const std::string kind = manifest.layout.substr(0, manifest.layout.find(':'));
  std::string known;
  for (const char* layout : kLayouts) known += (known.empty() ? "" : ", ") + std::string(layout);
  if (std::find(std::begin(kLayouts), std::end(kLayouts), kind) == std::end(kLayouts)) {
    throw Failure(SG_BAD_FILE, cat(path, ": layout ", in_quotes(manifest.layout), " is not one this runtime drives (",
                                   known, "); update samplegraph"));
  }
  for (const Tensor& tensor : manifest.inputs) {
    if (std::find(std::begin(kReserved), std::end(kReserved), tensor.name) == std::end(kReserved)) continue;
    throw Failure(SG_BAD_FILE, cat(path, ": an input is called ", in_quotes(tensor.name),
                                   ", as is an argument of the call; rename it"));
  }
}

Sampler::Sampler(const std::string& path, const Manifest& manifest, const LoadGraph& load)
    : path_(path), manifest_(manifest), step_counts_{manifest.steps} {
  check_drivable(path, manifest);
  if (manifest.recurrence) {
    check_evaluation(path, manifest);
    add_tables(load(path, manifest));
  } else if (manifest.chunk) {
    engine_ = std::make_unique<Engine>(manifest, load_chunks(path, manifest, load));
  } else {
    engine_ = std::make_unique<Engine>(manifest, whole_graph(manifest, load(path, manifest)));
  }
}

void Sampler::add_tables(std::shared_ptr<Graph> graph) {
  step_counts_.clear();
  for (const CoefficientTable& each : manifest_.recurrence->tables) add(each, graph);
  if (manifest_.recurrence->constants) return;  // a plan has none
  try {
    for (const CoefficientTable& each : read_plan(path_, *manifest_.recurrence)) add(each, graph);
  } catch (const Failure& failure) {  // of use without it; told where steps are asked for
    plan_fault_ = failure.what();
  }
}

void Sampler::add(const CoefficientTable& table, const std::shared_ptr<Graph>& graph) {
  if (std::find(step_counts_.begin(), step_counts_.end(), table.steps) != step_counts_.end()) return;
  Variant& made = variants_.emplace_back(
      Variant{with_table(manifest_, table), for_calls(path_, *manifest_.recurrence, table), nullptr});
  made.engine = std::make_unique<Engine>(made.manifest, by_evaluations(made.manifest, graph, made.table));
  step_counts_.push_back(table.steps);
}

Engine& Sampler::engine(std::int64_t steps) const {
  if (steps < 0) {
    throw Failure(SG_BAD_ARGUMENT, cat("steps=", steps, " is not allowed; give a whole number of at least 1"));
  }
  if (engine_ != nullptr) {
    if (steps == 0 || steps == manifest_.steps) return *engine_;
    throw Failure(SG_BAD_ARGUMENT, cat("steps=", steps, ": ", path_, " takes ", manifest_.steps,
                                       " steps; export one with --layout step to choose"));
  }
  if (steps != 0 && !plan_fault_.empty()) throw Failure(SG_BAD_FILE, plan_fault_);
  for (const Variant& each : variants_) {
    if (steps == 0 || each.table.steps == steps) return *each.engine;
  }
  std::vector<std::int64_t> sorted = step_counts_;
  std::sort(sorted.begin(), sorted.end());
  std::string known;
  for (const std::int64_t each : sorted) known += (known.empty() ? "" : ", ") + std::to_string(each);
  const std::string remedy = manifest_.recurrence->constants
                                 ? cat("export it with --steps ", step_counts_[0], ",", steps)
                                 : cat("make one with `samplegraph plan ", path_, " --steps ", steps, "`");
  throw Failure(SG_BAD_ARGUMENT, cat("steps=", steps, ": ", path_, " has tables for ", known, " steps; ", remedy));
}

}  // namespace sg
