/** No allocation after warm-up, and an error text wherever memory runs out. Every allocation of the process is seen. */
#include <gtest/gtest.h>

#include <cstdlib>

#include "allocations.hpp"
#include "chunks.hpp"
#include "engine.hpp"
#include "error.hpp"
#include "evaluations.hpp"
#include "onnxruntime/session.hpp"
#include "support.hpp"
#include "text.hpp"

namespace sg {
namespace {

using test::allocations;
using test::Asked;
using test::counting;
using test::Counting;
using test::fail_at;
using test::FakeBackend;

struct Fake {
  explicit Fake(const test::Toy& toy) : manifest(test::toy_manifest(toy)) {
    engine = std::make_unique<Engine>(manifest, std::make_unique<FakeBackend>(manifest));
  }
  Manifest manifest;
  std::unique_ptr<Engine> engine;
};

TEST(Memory, TheCounterCounts) {
  allocations = 0;
  const Counting scope;
  delete new int;  // may be elided
  std::vector<int> list(100);
  list.resize(1000);
  EXPECT_GT(allocations, 0);
}

TEST(Memory, NothingIsAllocatedAfterTheFirstCall) {
  for (const char* batch : {"1", "2", "\"batch\""}) {
    Fake fake({batch, 2, "float32", ""});
    Asked asked({1, 2, 3});
    const std::uint64_t seeds[] = {1, 2, 3};
    std::vector<float> out(48);
    for (const sg_rng rng : {SG_TORCH, SG_PHILOX}) {
      for (const sg_seed_kind kind : {SG_SEED_ONE, SG_SEED_EACH}) {
        (*asked).rng = rng;
        (*asked).seed_kind = kind;
        (*asked).seeds = seeds;
        (*asked).seed_count = 3;
        fake.engine->sample(*asked, out.data(), 192);
        allocations = 0;
        {
          const Counting scope;
          for (int i = 0; i < 100; ++i) fake.engine->sample(*asked, out.data(), 192);
        }
        EXPECT_EQ(allocations, 0) << batch;
      }
    }
  }
}

/** Adds 1 to its first input, whatever else it takes. */
class AddOne : public Graph {
 public:
  std::unique_ptr<GraphCall> call(Lane&) override { return std::make_unique<Call>(); }
  std::unique_ptr<StopSignal> stop_signal() override { return nullptr; }
  const std::string& providers() const override { return name_; }
  const std::string& library_version() const override { return name_; }

 private:
  class Call : public GraphCall {
   public:
    void input(std::size_t index, void* data, const std::vector<std::int64_t>&) override {
      if (index == 0) in_ = static_cast<const float*>(data);
    }
    void output(std::size_t, void* data, const std::vector<std::int64_t>& shape) override {
      out_.push_back(static_cast<float*>(data));
      count_ = static_cast<std::size_t>(shape[0]) * 16;
    }
    void run(StopSignal*) override {
      for (float* out : out_) {
        for (std::size_t i = 0; i < count_; ++i) out[i] = in_[i] + 1;
      }
    }

   private:
    const float* in_ = nullptr;
    std::vector<float*> out_;
    std::size_t count_ = 0;
  };
  std::string name_ = "fake";
};

/** The toy manifest as chunk `index` of two, or as one evaluation of two registers, called three times. */
std::string part_json(const char* layout, int index) {
  const std::string image = R"("dtype": "float32", "shape": [2, 1, 4, 4]})", whole = test::toy_json({"2", 2, "float32", ""});
  const std::size_t from = whole.find(R"("inputs": )") + 10, to = whole.find(R"("outputs")");
  const std::string caller = whole.substr(from, to - from - 3), x0 = R"(, {"name": "x0", "role": "x0", )" + image;
  const std::string sample = R"([{"name": "sample_in", "role": "carried", )" + image;
  const std::string state = R"({"name": "state_0", "role": "carried", )" + image;
  const bool step = std::string(layout) == "step";
  std::string json = whole.substr(0, from), last;
  if (step) {
    json += sample + R"(, {"name": "state_0_in", "role": "carried", )" + image +
            R"(, {"name": "timestep", "role": "timestep", "dtype": "int64", "shape": []},
   {"name": "coefficients", "role": "coefficients", "dtype": "float32", "shape": [4, 5]},
   {"name": "step_noise", "role": "step_noise", "dtype": "float32", "shape": [1, 2, 1, 4, 4]}],)";
    const std::string row = "[0.5, 1, 2, 3, 4]", rows = cat("[", row, ",", row, ",", row, ",", row, "]");
    last = cat(R"("recurrence": {"registers": ["x", "y"], "slices": 1, "sampler": "s", "tables": [{"steps": 2,
   "noise_slices": 2, "init_noise_sigma": 3.0, "step_of": [0, 0, 1], "timesteps": [9.0, 5.0, 1.0],
   "slices": [[1], [], [0]], "coefficients": [)", rows, ",", rows, ",", rows, "]}]}");
  } else {
    const std::string noise = R"([{"name": "noise", "role": "noise", )" + image;
    json += (index == 0 ? noise : sample) + R"(, {"name": "step_noise", "role": "step_noise",
   "dtype": "float32", "shape": [1, 2, 1, 4, 4]}],)";
    last = cat(R"("chunk": {"index": )", index, R"(, "count": 2, "first": )", 2 * index, R"(, "last": )", 2 * index + 2,
               R"(, "slices": [)", index, ",", index + 1, "]}");
  }
  json += cat(R"("caller": )", caller, R"(, "outputs": [{"name": "sample", "role": "sample", )", image,
              step ? "," + state : "", x0, "], ", last, "}");
  return test::replaced(json, R"("layout": "unrolled")", cat(R"("layout": ")", layout, R"(")"));
}

/** Three samples in batches of two; what comes out, and that a second call allocates nothing. */
void expect_free(const Manifest& manifest, std::unique_ptr<Backend> backend, std::int64_t parts, float from, float more) {
  Engine engine(manifest, std::move(backend));
  Asked asked({1, 2, 3});
  (*asked).seed_kind = SG_SEED_NONE;
  std::vector<float> noise(48, 1.0f), steps(96, 0.0f), out(48);
  const std::int64_t shape[] = {3, 1, 4, 4}, step_shape[] = {2, 3, 1, 4, 4};
  asked.inputs.push_back({"noise", noise.data(), shape, 4, SG_FLOAT32, 0});
  asked.inputs.push_back({"step_noise", steps.data(), step_shape, 5, SG_FLOAT32, 0});
  (*asked).inputs = asked.inputs.data();
  (*asked).input_count = asked.inputs.size();
  struct Seen {
    std::int64_t calls = 0, total = 0;
    float x0 = 0;
  } seen;
  (*asked).watch_data = &seen;
  (*asked).watch = [](void* data, const sg_position* position) {
    auto& to = *static_cast<Seen*>(data);
    ++to.calls;
    to.total = position->total;
    to.x0 = *static_cast<const float*>(position->x0);
    return 0;
  };
  engine.sample(*asked, out.data(), 192);
  EXPECT_EQ(out, std::vector<float>(48, from + more));
  EXPECT_EQ(seen.calls, 2 * parts);
  EXPECT_EQ(seen.total, 2 * parts);
  EXPECT_EQ(seen.x0, from + more);
  allocations = 0;
  {
    const Counting scope;
    for (int i = 0; i < 10; ++i) engine.sample(*asked, out.data(), 192);
  }
  EXPECT_EQ(allocations, 0);
}

TEST(Memory, ChunksAllocateNothingAfterTheFirstCall) {
  std::string path;
  for (const int index : {0, 1}) {
    path = test::write_temporary(cat("memory.chunk-0", index, ".onnx"),
                                 test::onnx_bytes(kMetadataKey, part_json("chunked:2", index)));
  }
  const Manifest manifest = read_graph_manifest(path);
  const auto load = [](const std::string&, const Manifest&) { return std::make_shared<AddOne>(); };
  expect_free(manifest, load_chunks(path, manifest, load), 2, 1.0f, 2.0f);
}

TEST(Memory, EvaluationsAllocateNothingAfterTheFirstCall) {
  const Manifest read = parse_manifest(part_json("step", 0), "step.onnx");
  const CoefficientTable& table = read.recurrence->tables[0];
  const Manifest manifest = with_table(read, table);
  expect_free(manifest, by_evaluations(manifest, std::make_shared<AddOne>(), table), 2, 3.0f, 3.0f);
}

TEST(Memory, WarmUpMakesSeveralCallsFree) {
  Fake fake({"1", 1, "float32", ""});
  Asked asked({1, 2, 3});
  fake.engine->warm_up(*asked, 4);
  std::vector<float> out(48);
  allocations = 0;
  {
    const Counting scope;
    fake.engine->sample(*asked, out.data(), 192);
  }
  EXPECT_EQ(allocations, 0);
}

/** ONNX Runtime allocates in its run, always the same number of times; a whole call adds none to them. */
TEST(Memory, AWholeCallAllocatesNoMoreThanTheEnginesRun) {
  const char* folder = std::getenv("SAMPLEGRAPH_TEST_GRAPHS");
  if (folder == nullptr || std::getenv("SAMPLEGRAPH_ONNXRUNTIME") == nullptr) {
    GTEST_SKIP() << "SAMPLEGRAPH_TEST_GRAPHS and SAMPLEGRAPH_ONNXRUNTIME are not set";
  }
  const std::string path = std::string(folder) + "/toy-4.onnx";
  const Manifest manifest = read_graph_manifest(path);
  Settings settings;
  settings.threads = 1;
  Engine engine(manifest, whole_graph(manifest, ort::load(path, manifest, settings)));
  Asked asked({1, 2, 3, 4});
  Call call(manifest);
  assemble(manifest, *asked, call);
  const auto bare = engine.backend().bind();
  bare->shape(call.shapes, call.output_shape);
  std::vector<float> out(64);
  long counts[2] = {};
  for (int round = 0; round < 2; ++round) {  // the first warms up
    for (const bool whole : {false, true}) {
      allocations = 0;
      const Counting scope;
      for (int i = 0; i < 100; ++i) {
        if (whole) engine.sample(*asked, out.data(), 256);
        else bare->run(0, nullptr, false);
      }
      counts[whole] = allocations;
    }
  }
  EXPECT_GT(counts[0], 0);
  EXPECT_EQ(counts[1], counts[0]);
}

/** Fail the first allocation, then the second, and so on, until the call succeeds. */
template <class Body>
int fail_everywhere(Body&& body) {
  for (int n = 1; n < 10000; ++n) {
    counting = true;
    fail_at = n;
    const sg_status status = body();
    const bool failed = fail_at == 0;
    counting = false;
    fail_at = 0;
    if (!failed) {
      EXPECT_EQ(status, SG_OK) << last_error();
      return n;
    }
    EXPECT_TRUE(status == SG_NO_MEMORY || status == SG_OK) << n << ": " << status << " " << last_error();
    if (status == SG_OK) continue;
    EXPECT_NE(std::string(last_error()).find("memory"), std::string::npos) << last_error();
  }
  return 0;
}

TEST(Memory, RunningOutIsAnErrorInACall) {
  const int tried = fail_everywhere([] {
    counting = false;
    const long n = fail_at;
    Fake fake({"2", 2, "float32", ""});
    Asked asked({1, 2, 3});
    std::vector<float> out(48);
    counting = true;
    fail_at = n;
    return guarded([&] { fake.engine->sample(*asked, out.data(), 192); });
  });
  EXPECT_GT(tried, 5);
}

TEST(Memory, RunningOutIsAnErrorInReadingAManifest) {
  const std::string path =
      test::write_temporary("memory.onnx", test::onnx_bytes(kMetadataKey, test::toy_json()));
  const int tried = fail_everywhere([&] {
    sg_manifest* manifest = nullptr;
    const sg_status status = sg_manifest_open(path.c_str(), &manifest);
    sg_manifest_close(manifest);
    return status;
  });
  EXPECT_GT(tried, 50);
}

}  // namespace
}  // namespace sg
