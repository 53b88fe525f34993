/** What a manifest says about a graph that is a part of a sampler: one of a set of chunks, or one evaluation. */
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "json.hpp"

namespace sg {

/** What a carried input is called behind its name as an output. */
constexpr const char* kCarried = "_in";

/** Place of a graph in a set: steps `first` to `last - 1`, which draw slices `from` to `to - 1`. */
struct Chunk {
  std::int64_t index = 0, count = 1, first = 0, last = 1, from = 0, to = 0;
};

/** What drives a graph of evaluations through a sampler; see samplegraph.runtime.manifest. */
struct CoefficientTable {
  std::int64_t steps = 1, noise_slices = 0;
  double init_noise_sigma = 1, init_sample_scale = 0;
  std::vector<std::int64_t> step_of;              // per evaluation
  std::vector<double> timesteps;                  // per evaluation
  std::vector<std::vector<std::int64_t>> slices;  // per evaluation, those of step_noise that it reads
  std::vector<float> coefficients;                // evaluations * (2 + R) * (R + D + 2)
  std::int64_t first_constants = 0;               // row of the file of constants
  std::vector<float> constants;                   // evaluations * width

  std::size_t evaluations() const { return step_of.size(); }
  /** Whether evaluation `e` is the last of its step. */
  bool ends_step(std::size_t e) const;
};

/** What the network computes from the timestep alone: float32 (rows, width) in a file beside the graph. */
struct Constants {
  std::string file;
  std::int64_t rows = 1, width = 1;
};

/** A sampler as linear maps on registers, the sample first. */
struct Recurrence {
  std::int64_t registers = 1, slices = 0;  // R, D
  std::int64_t evaluations = 1;            // K, of a call
  std::optional<Constants> constants;
  std::string sampler;                     // a digest of what the tables depend on besides the number of steps
  std::vector<CoefficientTable> tables;
};

/** Failure as fields::damaged where a field is missing or wrong, or sizes contradict each other. */
Chunk read_chunk(const Json& data);
Recurrence read_recurrence(const Json& data);

/**
 * `table` as calls of K evaluations take it: with its constants from the file beside `graph`, and in front as many
 * evaluations that change no register as the first call has too many. Failure SG_BAD_FILE.
 */
CoefficientTable for_calls(const std::string& graph, const Recurrence& known, CoefficientTable table);

/** The tables for further step counts in `<graph>.plan.json`; none where there is no such file. Failure SG_BAD_FILE. */
std::vector<CoefficientTable> read_plan(const std::string& graph, const Recurrence& known);

}  // namespace sg
