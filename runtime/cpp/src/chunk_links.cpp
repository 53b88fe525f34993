#include "chunk_links.hpp"

#include <algorithm>

#include "error.hpp"
#include "text.hpp"

namespace sg {
namespace {

/** All that a caller sees of an input. */
bool same_input(const Tensor& one, const Tensor& other) {
  return same_tensor(one, other) && one.name == other.name && one.role == other.role &&
         one.default_value == other.default_value && one.minimum == other.minimum && one.maximum == other.maximum;
}

bool same_named(const Tensor& one, const Tensor& other) { return one.name == other.name && same_tensor(one, other); }

bool same_export(const Manifest& one, const Manifest& other) {
  return one.name == other.name && one.layout == other.layout && one.tables_sha256 == other.tables_sha256 &&
         one.weights_sha256 == other.weights_sha256 &&
         std::equal(one.inputs.begin(), one.inputs.end(), other.inputs.begin(), other.inputs.end(), same_input);
}

std::optional<std::size_t> position(const std::vector<Tensor>& tensors, const std::string& name) {
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].name == name) return i;
  }
  return std::nullopt;
}

/** The chunk's own slices of what the caller gives, or all of it. */
bool is_part_of(const Tensor& input, const Tensor& given, const Chunk& chunk) {
  if (input.role != given.role) return false;
  if (input.role != SG_STEP_NOISE) return same_tensor(input, given);
  Tensor slices = given;
  if (slices.shape.empty() || chunk.to <= chunk.from || chunk.to > given.shape[0].size) return false;
  slices.shape[0].size = chunk.to - chunk.from;
  return same_tensor(input, slices);
}

/** An output that can be handed on: rows first, no other free axis. */
bool can_be_carried(const Tensor& output, const Tensor& sample) {
  bool fits = !output.shape.empty() && output.shape[0].size == sample.shape[0].size;
  for (std::size_t axis = 1; axis < output.shape.size(); ++axis) fits = fits && !output.shape[axis].symbolic();
  return fits;
}

class Linker {
 public:
  Linker(const std::vector<std::string>& files, const std::vector<Manifest>& manifests)
      : files_(files), manifests_(manifests), slots_{manifests[0].graph_outputs[0].name} {}

  ChunkLinks link(std::size_t k) {
    const Manifest& own = manifests_[k];
    if (!same_export(own, manifests_[0])) {
      refuse(k, cat("is not of the same export as ", files_[0]));
    }
    const Tensor& result = manifests_[0].outputs[0];
    const Tensor& first = k + 1 == files_.size() ? result : manifests_[0].graph_outputs[0];
    const bool in_place = own.chunk && own.chunk->index == static_cast<std::int64_t>(k) &&
                          own.chunk->count == static_cast<std::int64_t>(files_.size());
    if (!in_place || !same_named(own.outputs[0], result) || !same_named(own.graph_outputs[0], first)) does_not_follow(k);
    ChunkLinks out;
    for (const Tensor& input : own.graph_inputs) out.inputs.push_back(source(k, input));
    for (std::size_t i = 0; i < own.graph_outputs.size(); ++i) {
      const Tensor& output = own.graph_outputs[i];
      if (!can_be_carried(output, result)) does_not_follow(k);
      if (output.role == SG_X0) {
        if (!same_tensor(output, manifests_[0].shown())) does_not_follow(k);
        if (output.dtype == result.dtype) out.x0 = i;  // what is told of a position has the output's dtype
      }
      out.outputs.push_back(slot(output.name));
    }
    return out;
  }

 private:
  [[noreturn]] void refuse(std::size_t k, const std::string& what) const {
    throw Failure(SG_BAD_FILE, cat(files_[k], ": ", what, "; export all chunks again"));
  }
  [[noreturn]] void does_not_follow(std::size_t k) const { refuse(k, "does not follow the chunk before it"); }

  std::size_t slot(const std::string& name) {
    const auto found = std::find(slots_.begin(), slots_.end(), name);
    const auto index = static_cast<std::size_t>(found - slots_.begin());
    if (found == slots_.end()) slots_.push_back(name);
    return index;
  }

  ChunkLinks::Source source(std::size_t k, const Tensor& input) {
    if (input.role != SG_CARRIED) {
      const auto given = position(manifests_[0].inputs, input.name);
      if (!given || !is_part_of(input, manifests_[0].inputs[*given], *manifests_[k].chunk)) {
        refuse(k, "takes an input that the sampler does not have");
      }
      return {false, *given};
    }
    const std::string tail = kCarried;
    const std::size_t size = input.name.size() - std::min(input.name.size(), tail.size());
    const std::string name = input.name.substr(size) == tail ? input.name.substr(0, size) : input.name;
    const auto handed = k > 0 ? position(manifests_[k - 1].graph_outputs, name) : std::nullopt;
    if (!handed || !same_tensor(input, manifests_[k - 1].graph_outputs[*handed])) does_not_follow(k);
    return {true, slot(name)};
  }

  const std::vector<std::string>& files_;
  const std::vector<Manifest>& manifests_;
  std::vector<std::string> slots_;
};

}  // namespace

bool same_tensor(const Tensor& one, const Tensor& other) {
  const auto same_axis = [](const Axis& a, const Axis& b) { return a.size == b.size && a.symbol == b.symbol; };
  return one.dtype == other.dtype &&
         std::equal(one.shape.begin(), one.shape.end(), other.shape.begin(), other.shape.end(), same_axis);
}

std::vector<ChunkLinks> link_chunks(const std::vector<std::string>& files, const std::vector<Manifest>& manifests) {
  Linker linker(files, manifests);
  std::vector<ChunkLinks> out;
  for (std::size_t k = 0; k < files.size(); ++k) out.push_back(linker.link(k));
  return out;
}

}  // namespace sg
