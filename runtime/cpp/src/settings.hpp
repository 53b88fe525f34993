/** How a sampler is loaded: sg_options in C++ types. */
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "samplegraph/samplegraph.h"

namespace sg {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Provider {
  std::string name;
  Pairs options;
};

struct Settings {
  std::string library;  // of ONNX Runtime; and, of an engine file,
  std::string tensorrt, cuda;
  std::string kernels;  // the folder where compiled kernels are kept; "" for nowhere
  std::vector<Provider> providers;
  int threads = 0, inter_op_threads = 0, device = 0;
  bool tf32 = false, cuda_graph = true;
  Pairs config;
};

/** Failure SG_BAD_ARGUMENT: a null pointer, or a negative number. `options` may be null. */
Settings settings(const sg_options* options);

}  // namespace sg
