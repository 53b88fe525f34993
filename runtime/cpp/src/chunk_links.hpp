/** Where each chunk of a set has its inputs from. */
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "manifest.hpp"

namespace sg {

/** One chunk: its inputs and outputs in the graph's order. What is handed on has a slot of its own; the sample's is 0. */
struct ChunkLinks {
  struct Source {
    bool carried = false;
    std::size_t from = 0;  // a slot, or an input of the sampler
  };
  std::vector<Source> inputs;
  std::vector<std::size_t> outputs;  // slots
  std::optional<std::size_t> x0;     // the output that shows it
};

/** Whether one memory can be both: same type and axes. */
bool same_tensor(const Tensor& one, const Tensor& other);

/** Failure SG_BAD_FILE: the chunks are not of one export, or do not follow each other. */
std::vector<ChunkLinks> link_chunks(const std::vector<std::string>& files, const std::vector<Manifest>& manifests);

}  // namespace sg
