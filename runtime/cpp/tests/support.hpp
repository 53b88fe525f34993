/** What the tests share: a manifest, a graph that runs without an engine, and a request that fits them. */
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "backend.hpp"
#include "manifest.hpp"
#include "samplegraph/samplegraph.h"

namespace sg::test {

/** Options of `toy_json`. */
struct Toy {
  std::string batch = "1";  // a number, or "\"batch\""
  int slices = 0;
  std::string dtype = "float32";
  std::string extra_inputs;  // JSON objects, each followed by a comma
};

/** The manifest of tests/conftest.py: noise (B, 1, 4, 4), step_noise, class_labels in 0..10, guidance_scale = 2. */
std::string toy_json(const Toy& toy = {});
Manifest toy_manifest(const Toy& toy = {});

/** `text` with the first `from` replaced; fails the test where there is none. */
std::string replaced(std::string text, const std::string& from, const std::string& to);

/** An ONNX file in memory that holds nothing but one metadata entry. */
std::string onnx_bytes(const std::string& key, const std::string& value);
/** A file of those bytes in the test's temporary folder. */
std::string write_temporary(const std::string& name, const std::string& bytes);

/** Computes 0.5 * noise + sum of (k + 1) * step_noise[k] + 10 * (label + scale), row by row, in float32. */
class FakeBackend : public Backend {
 public:
  explicit FakeBackend(const Manifest& manifest) : manifest_(manifest) {}
  std::unique_ptr<Binding> bind() override;
  std::unique_ptr<StopSignal> stop_signal() override;
  const std::string& providers() const override { return providers_; }
  const std::string& library_version() const override { return version_; }

  const Manifest& manifest_;
  std::string providers_ = "fake", version_ = "0";
  std::function<void()> on_run;  // called in each run
  std::function<void(const std::string&, const void*)> look;  // told each input of each run
  std::atomic<int> runs{0};
};

/** A request with a seed and class labels. */
struct Asked {
  explicit Asked(std::vector<std::int64_t> labels, std::uint64_t seed = 0);
  Asked(const Asked&) = delete;  // the request points into it
  Asked& operator=(const Asked&) = delete;
  sg_request& operator*() { return request; }
  std::vector<std::int64_t> labels;
  std::int64_t shape[1];
  std::vector<sg_array> inputs;
  sg_request request;
};

/** The text of the failure that `body` throws; "" where it throws none. */
std::string failure(const std::function<void()>& body);

}  // namespace sg::test
