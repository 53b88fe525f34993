/** How a session is set up: sg_options in C++ types. */
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "samplegraph/samplegraph.h"

namespace sg::ort {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Provider {
  std::string name;
  Pairs options;
};

struct Settings {
  std::string library;
  std::vector<Provider> providers;
  int threads = 0, inter_op_threads = 0;
  Pairs config;
};

/** Failure SG_BAD_ARGUMENT: a null pointer, or a negative number of threads. `options` may be null. */
Settings settings(const sg_options* options);

}  // namespace sg::ort
