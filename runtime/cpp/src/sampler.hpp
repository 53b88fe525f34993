/** A compiled sampler, whatever its layout: one engine, or, for a graph of one evaluation, one per step count. */
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine.hpp"

namespace sg {

class Sampler {
 public:
  /**
   * Load what `path` belongs to; `manifest` is that of `path` and outlives the sampler.
   *
   * Failure SG_BAD_FILE: a layout that this runtime does not drive, a file that is missing, damaged or foreign; else
   * what `load` throws.
   */
  Sampler(const std::string& path, const Manifest& manifest, const LoadGraph& load);

  /** What draws in so many steps; 0: the default. Failure SG_BAD_ARGUMENT where there is none. */
  Engine& engine(std::int64_t steps) const;
  /** Allowed step counts, the default first. */
  const std::vector<std::int64_t>& step_counts() const { return step_counts_; }

 private:
  /** One table of coefficients. */
  struct Variant {
    Manifest manifest;
    CoefficientTable table;
    std::unique_ptr<Engine> engine;
  };
  void add_tables(std::shared_ptr<Graph> graph);
  void add(const CoefficientTable& table, const std::shared_ptr<Graph>& graph);

  std::string path_, plan_fault_;
  const Manifest& manifest_;
  std::unique_ptr<Engine> engine_;  // of all layouts but step
  std::deque<Variant> variants_;    // of step; their engines refer into them
  std::vector<std::int64_t> step_counts_;
};

/** The layouts that this runtime drives, and names that no input may have. Failure SG_BAD_FILE. */
void check_drivable(const std::string& path, const Manifest& manifest);

}  // namespace sg
