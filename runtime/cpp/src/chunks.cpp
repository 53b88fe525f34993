#include "chunks.hpp"

#include <algorithm>

#include "caller_memory.hpp"
#include "chunk_links.hpp"
#include "engine_file.hpp"
#include "error.hpp"
#include "file.hpp"
#include "text.hpp"

namespace sg {
namespace {

struct Part {
  Manifest manifest;
  ChunkLinks links;
  std::shared_ptr<Graph> graph;
};

/** The axes of what is handed on, of that many rows. */
Shape carried_shape(const Tensor& tensor, std::int64_t rows) {
  Shape shape;
  for (const Axis& axis : tensor.shape) shape.push_back(axis.symbolic() ? rows : axis.size);
  return shape;
}

/** What is handed on lies in one of two sets of memory: each chunk reads the one and writes the other. */
class ChunksBinding : public Binding {
 public:
  ChunksBinding(const Manifest& manifest, const std::vector<Part>& parts)
      : parts_(parts), lane_(parts[0].graph->lane()), memory_(manifest, *lane_) {
    std::size_t slots = 0;
    for (const Part& each : parts_) {
      calls_.push_back(each.graph->call(*lane_));
      for (const std::size_t slot : each.links.outputs) slots = std::max(slots, slot + 1);
    }
    for (std::vector<Mirror>& set : handed_) {
      for (std::size_t i = 0; i < slots; ++i) set.emplace_back(*lane_);
    }
  }

  void shape(const std::vector<Shape>& inputs, const Shape& output) override {
    if (memory_.has(inputs, output)) return;
    memory_.reserve(inputs, output);
    for (std::size_t k = 0; k < parts_.size(); ++k) {
      for (std::size_t i = 0; i < parts_[k].links.outputs.size(); ++i) {
        const Tensor& tensor = parts_[k].manifest.graph_outputs[i];
        written(k, i).reserve(byte_count(tensor.dtype, carried_shape(tensor, output[0])));
      }
    }
    for (std::size_t k = 0; k < parts_.size(); ++k) bind(k, output[0]);
    memory_.settled();
  }
  Mirror& input(std::size_t index) override { return memory_.input(index); }
  Mirror& output() override { return written(parts_.size() - 1, 0); }
  Lane& lane() override { return *lane_; }
  std::size_t parts() const override { return parts_.size(); }

  Position run(std::size_t part, StopSignal* stop, bool watched) override {
    calls_[part]->run(stop);
    const std::int64_t last = parts_[part].manifest.chunk->last - 1;
    if (!watched) return {last, nullptr};
    lane_->wait();
    const auto& shown = parts_[part].links.x0;
    return {last, shown ? written(part, *shown).fetch() : nullptr};
  }

 private:
  Mirror& written(std::size_t part, std::size_t output) { return handed_[part % 2][parts_[part].links.outputs[output]]; }

  void bind(std::size_t k, std::int64_t rows) {
    const Part& part = parts_[k];
    for (std::size_t i = 0; i < part.links.inputs.size(); ++i) {
      const Tensor& tensor = part.manifest.graph_inputs[i];
      const std::size_t from = part.links.inputs[i].from;
      if (part.links.inputs[i].carried) {
        calls_[k]->input(i, handed_[(k + 1) % 2][from].graph(), carried_shape(tensor, rows));
        continue;
      }
      Shape shape = memory_.shape(from);
      char* data = static_cast<char*>(memory_.input(from).graph());
      if (tensor.role == SG_STEP_NOISE) {
        shape[0] = 1;
        data += byte_count(tensor.dtype, shape) * static_cast<std::size_t>(part.manifest.chunk->from);
        shape[0] = part.manifest.chunk->to - part.manifest.chunk->from;
      }
      calls_[k]->input(i, data, shape);
    }
    for (std::size_t i = 0; i < part.links.outputs.size(); ++i) {
      calls_[k]->output(i, written(k, i).graph(), carried_shape(part.manifest.graph_outputs[i], rows));
    }
  }

  const std::vector<Part>& parts_;
  std::shared_ptr<Lane> lane_;  // outlives what follows
  CallerMemory memory_;
  std::vector<Mirror> handed_[2];
  std::vector<std::unique_ptr<GraphCall>> calls_;
};

class Chunks : public GraphBackend {
 public:
  Chunks(const Manifest& manifest, std::vector<Part> parts)
      : GraphBackend(parts[0].graph), manifest_(manifest), parts_(std::move(parts)) {}
  std::unique_ptr<Binding> bind() override { return std::make_unique<ChunksBinding>(manifest_, parts_); }
  std::vector<std::string> notes() const override {
    std::vector<std::string> all;
    for (const Part& each : parts_) {
      for (const std::string& note : each.graph->notes()) {
        if (std::find(all.begin(), all.end(), note) == all.end()) all.push_back(note);
      }
    }
    return all;
  }

 private:
  const Manifest& manifest_;
  std::vector<Part> parts_;
};

std::string number(std::int64_t index) {
  const std::string digits = std::to_string(index);
  return digits.size() < 2 ? "0" + digits : digits;
}

/** ".onnx", or ".sm89.engine": how the files of a set end alike. */
std::string kind_of(const std::string& path) {
  if (!is_engine(path)) return ".onnx";
  const std::size_t end = path.rfind('.'), target = path.rfind('.', end - 1);
  return path.substr(target == std::string::npos ? end : target);
}

}  // namespace

std::vector<std::string> chunk_files(const std::string& path, const Chunk& chunk) {
  const std::string place = ".chunk-" + number(chunk.index), kind = kind_of(path);
  const std::string tail = place + kind;
  if (!ends_with(path, tail)) {
    throw Failure(SG_BAD_FILE, cat(path, ": is chunk ", chunk.index, " of ", chunk.count,
                                   " and is not called so; name it <stem>", tail, " again"));
  }
  const std::string stem = path.substr(0, path.size() - tail.size());
  std::vector<std::string> files;
  for (std::int64_t k = 0; k < chunk.count; ++k) {
    files.push_back(cat(stem, ".chunk-", number(k), kind));
    if (is_file(files.back())) continue;
    throw Failure(SG_BAD_FILE, cat(files.back(), ": is missing; put all ", chunk.count,
                                   " chunks into one folder, or export them again"));
  }
  return files;
}

std::unique_ptr<Backend> load_chunks(const std::string& path, const Manifest& manifest, const LoadGraph& load) {
  const std::vector<std::string> files = chunk_files(path, *manifest.chunk);
  std::vector<Manifest> manifests;
  for (const std::string& file : files) manifests.push_back(read_graph_manifest(file));
  std::vector<ChunkLinks> links = link_chunks(files, manifests);
  std::vector<Part> parts;
  for (std::size_t k = 0; k < files.size(); ++k) {
    std::shared_ptr<Graph> graph = load(files[k], manifests[k]);
    parts.push_back({std::move(manifests[k]), std::move(links[k]), std::move(graph)});
  }
  return std::make_unique<Chunks>(manifest, std::move(parts));
}

}  // namespace sg
