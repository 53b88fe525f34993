/** The command line of samplegraph-run. */
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/value.hpp"

namespace cli {

struct Arguments {
  bool help = false, version = false, describe = false, json = false, tf32 = false;
  std::string file, output, onnxruntime, tensorrt, affinity;
  std::optional<Seeds> seeds;
  std::vector<Setting> settings;
  std::optional<double> guidance_scale;
  std::int64_t samples = 0, steps = 0;
  int bench = 0, warm_up = 5, threads = 0, device = 0;
  sg_rng rng = SG_TORCH;
  std::vector<std::string> providers;
};

/** Throws UsageError. */
Arguments parse_arguments(const std::vector<std::string>& given);

extern const char* const kHelp;

}  // namespace cli
