#include "support.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "error.hpp"
#include "text.hpp"

namespace sg::test {

std::string toy_json(const Toy& toy) {
  const std::string image = toy.batch + R"(, 1, 4, 4])";
  const std::string steps =
      toy.slices == 0 ? "" : cat(R"({"name": "step_noise", "role": "step_noise", "dtype": ")", toy.dtype,
                                 R"(", "shape": [)", toy.slices, ", ", image, "},");
  return cat(R"({"format": "samplegraph", "format_version": 1, "name": "toy-ddim-3", "layout": "unrolled",
 "model": {"name": "toy", "prediction_type": "epsilon", "timestep_dtype": "float32", "noise_schedule": null},
 "scheduler": {"name": "ddim", "config": {"eta": 0.0}, "steps": 3, "nfe": 3, "order": 1},
 "tables": {"timesteps": [900.0, 600.0, 300], "alphas": [0.1], "sigmas": [0.9], "evaluations": [], "sha256": "0"},
 "guidance": {"mode": "input", "scale": 2.0, "conditions": ["class_labels"]},
 "noise": {"slices": )", toy.slices, R"(, "steps": [], "init_noise_sigma": 1.0},
 "weights": {"sha256": "0", "bytes": 4, "file": null}, "versions": {"samplegraph": "0"},
 "inputs": [{"name": "noise", "role": "noise", "dtype": ")", toy.dtype, R"(", "shape": [)", image, "},", steps, R"(
  {"name": "class_labels", "role": "condition", "dtype": "int64", "shape": [)", toy.batch,
             R"(], "minimum": 0, "maximum": 10, "default": null, "description": "class"},)", toy.extra_inputs, R"(
  {"name": "guidance_scale", "role": "guidance_scale", "dtype": "float32", "shape": [], "default": 2.0}],
 "outputs": [{"name": "sample", "role": "sample", "dtype": "float32", "shape": [)", image, "}]}");
}

Manifest toy_manifest(const Toy& toy) { return parse_manifest(toy_json(toy), "toy.onnx"); }

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

namespace {

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void put_bytes(std::string& out, int field, const std::string& bytes) {
  put_varint(out, static_cast<std::uint64_t>(field) << 3 | 2);
  put_varint(out, bytes.size());
  out += bytes;
}

class FakeBinding : public Binding {
 public:
  explicit FakeBinding(FakeBackend& owner) : owner_(owner), lane_(host_lane()), sample_(*lane_) {
    for (std::size_t i = 0; i < owner.manifest_.inputs.size(); ++i) inputs_.emplace_back(*lane_);
  }

  void shape(const std::vector<std::vector<std::int64_t>>& inputs, const std::vector<std::int64_t>& output) override {
    for (std::size_t i = 0; i < inputs.size(); ++i) inputs_[i].reserve(8 * count(inputs[i]));  // does for every dtype
    size_ = count(output);
    sample_.reserve(sizeof(float) * size_);
    rows_ = static_cast<std::size_t>(output[0]);
  }
  Mirror& input(std::size_t index) override { return inputs_[index]; }
  Mirror& output() override { return sample_; }
  Lane& lane() override { return *lane_; }

  std::size_t parts() const override { return 1; }
  Position run(std::size_t, StopSignal*, bool) override {
    ++owner_.runs;
    if (owner_.on_run) owner_.on_run();
    for (std::size_t i = 0; owner_.look && i < inputs_.size(); ++i) {
      owner_.look(owner_.manifest_.inputs[i].name, inputs_[i].graph());
    }
    const auto find = [&](const std::string& name) -> const void* {
      for (std::size_t i = 0; i < inputs_.size(); ++i) {
        if (owner_.manifest_.inputs[i].name == name) return inputs_[i].graph();
      }
      return nullptr;
    };
    const auto* noise = static_cast<const float*>(find("noise"));
    const auto* steps = static_cast<const float*>(find("step_noise"));
    const auto* labels = static_cast<const std::int64_t*>(find("class_labels"));
    const auto* scale = static_cast<const float*>(find("guidance_scale"));
    auto* out = static_cast<float*>(sample_.graph());
    const std::size_t size = size_ / rows_;
    for (std::size_t i = 0; i < size_; ++i) {
      float value = 0.5f * noise[i];
      for (int k = 0; k < owner_.manifest_.slices; ++k) {
        value += static_cast<float>(k + 1) * steps[static_cast<std::size_t>(k) * size_ + i];
      }
      out[i] = value + 10.0f * (static_cast<float>(labels[i / size]) + *scale);
    }
    return {};
  }

 private:
  static std::size_t count(const std::vector<std::int64_t>& shape) {
    std::size_t count = 1;
    for (const std::int64_t axis : shape) count *= static_cast<std::size_t>(axis);
    return count;
  }
  FakeBackend& owner_;
  std::shared_ptr<Lane> lane_;
  std::vector<Mirror> inputs_;
  Mirror sample_;
  std::size_t rows_ = 0, size_ = 0;
};

class FakeStop : public StopSignal {
 public:
  void request() override {}
  void reset() override {}
};

}  // namespace

std::string onnx_bytes(const std::string& key, const std::string& value) {
  std::string entry, out;
  put_bytes(entry, 1, key);
  put_bytes(entry, 2, value);
  put_varint(out, 1 << 3);  // ir_version
  put_varint(out, 9);
  put_bytes(out, 7, std::string(300, 'g'));  // a graph, as far as the scan cares
  put_bytes(out, 14, entry);
  return out;
}

std::string write_temporary(const std::string& name, const std::string& bytes) {
  const std::string path = testing::TempDir() + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::unique_ptr<Binding> FakeBackend::bind() { return std::make_unique<FakeBinding>(*this); }
std::unique_ptr<StopSignal> FakeBackend::stop_signal() { return std::make_unique<FakeStop>(); }

Asked::Asked(std::vector<std::int64_t> given, std::uint64_t seed)
    : labels(std::move(given)), shape{static_cast<std::int64_t>(labels.size())}, request(SG_REQUEST_INIT) {
  inputs.push_back({"class_labels", labels.data(), shape, 1, SG_INT64, 0});
  request.seed_kind = SG_SEED_ONE;
  request.seed = seed;
  request.inputs = inputs.data();
  request.input_count = inputs.size();
}

std::string failure(const std::function<void()>& body) {
  try {
    body();
  } catch (const Failure& caught) {
    return caught.what();
  }
  return "";
}

}  // namespace sg::test
