/** The manifest: everything a runtime needs to know about a compiled sampler. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dtype.hpp"
#include "engine_info.hpp"
#include "parts.hpp"
#include "samplegraph/samplegraph.h"

namespace sg {

constexpr int kFormatVersion = 1;
constexpr const char* kMetadataKey = "samplegraph.manifest";
constexpr std::size_t kMaxRank = 16;

/** One axis: its size, or -1 and the name of a symbol. */
struct Axis {
  std::int64_t size = -1;
  std::string symbol;
  bool symbolic() const { return size < 0; }
};

/** One input or output of the graph. */
struct Tensor {
  std::string name, description;
  std::int32_t dtype = 0, role = 0;  // sg_dtype, sg_role
  std::vector<Axis> shape;
  std::optional<double> default_value, minimum, maximum;

  /** The axis with one entry per sample; none for a scalar, which all samples share. */
  std::optional<std::size_t> row_axis() const;
  /** "(M, 1, 16, 16)", where M is the number of samples. */
  std::string shape_text() const;
  /** "0..10", "at least 0", "at most 10"; "" where the values are unlimited. */
  std::string range_text() const;
  const DTypeInfo& type() const { return *dtype_info(dtype); }
};

/** What the graph was optimised for offline: it is loaded as it stands, on ONNX Runtime's CPU provider only. */
struct OptimizedFor {
  std::string provider, onnxruntime;
  std::int64_t channel_block = 0;
  bool prepack = true;
  std::optional<std::string> file;
};

struct Manifest {
  std::string json;  // as in the file
  std::string name, layout, model, prediction_type, scheduler, guidance_mode;
  std::string tables_sha256, weights_sha256;
  std::int64_t steps = 0, nfe = 0, slices = 0;
  std::int32_t noise_kind = 0;  // sg_noise_kind
  double init_noise_sigma = 1;
  std::optional<double> guidance_scale;
  std::optional<std::string> weights_file;
  std::optional<OptimizedFor> optimized_for;
  std::string precision = "fp32";
  std::optional<EngineInfo> engine;      // of an engine, in its sidecar
  std::optional<Chunk> chunk;            // of a graph that is one of a set
  std::optional<Recurrence> recurrence;  // of a graph of one evaluation
  std::vector<Tensor> inputs, outputs;   // what a caller gives, and gets: the first of `outputs`
  std::vector<Tensor> graph_inputs, graph_outputs;  // of the graph: the same, but for a part of a sampler
  bool staged = false;                   // there are modules in front or behind
  std::optional<Tensor> sample;          // where a module behind the sampler makes the output of it

  /** The first input of that role that a caller gives, or null. */
  const Tensor* input(std::int32_t role) const;
  /** What a seed's first draw makes: noise, else a slice of step_noise; null where nothing is drawn. */
  const Tensor* drawn() const;
  /** Rows per call, or -1 where any number goes, but for what an engine was built for. */
  std::int64_t batch() const { return outputs[0].shape[0].size; }
  /** What x0 is shaped as: the sample, whatever a module behind makes of it. */
  const Tensor& shown() const { return sample ? *sample : outputs[0]; }
  /** Rows of each call of so many samples. */
  std::int64_t rows(std::int64_t samples) const;
  /** Draws of a call: noise where it is taken, then the slices. */
  std::int64_t draws() const { return slices + (input(SG_NOISE) != nullptr ? 1 : 0); }
  /** Elements of one sample, and of one draw: of tokens these differ. */
  std::int64_t sample_size() const;
  std::int64_t noise_size() const;
};

/**
 * Parse and check; `source` names the file in errors.
 *
 * Failure SG_BAD_FILE: not JSON, not a samplegraph manifest, from a newer version, a field missing or wrong.
 */
Manifest parse_manifest(std::string json, const std::string& source);

/**
 * The manifest of an .onnx file, of an engine in its sidecar, or of a sidecar .json itself. Inside an ONNX file the
 * metadata wins; the sidecar (the file's full name + ".json") stands in where a tool has removed it.
 */
Manifest read_manifest(const std::string& path);

/** The manifest of a graph or an engine to be run: a sidecar is refused. */
Manifest read_graph_manifest(const std::string& path);

}  // namespace sg
