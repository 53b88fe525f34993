/**
 * The back end on ONNX Runtime itself. Runs where SAMPLEGRAPH_ONNXRUNTIME names a library and
 * SAMPLEGRAPH_TEST_GRAPHS a folder with the graphs of tests/cpp/graphs.py; is skipped elsewhere.
 */
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "samplegraph/samplegraph.hpp"
#include "support.hpp"

namespace {

using samplegraph::Engine;
using samplegraph::Request;

class OnnxRuntime : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("SAMPLEGRAPH_TEST_GRAPHS");
    if (folder == nullptr || std::getenv("SAMPLEGRAPH_ONNXRUNTIME") == nullptr) {
      GTEST_SKIP() << "SAMPLEGRAPH_TEST_GRAPHS and SAMPLEGRAPH_ONNXRUNTIME are not set";
    }
    folder_ = std::string(folder) + "/";
  }
  Engine open(const std::string& name) {
    samplegraph::Options options;
    options.threads = 1;
    return Engine(folder_ + name, options);
  }
  sg_status open_status(const std::string& path, const sg_options* options = nullptr) {
    sg_engine* engine = nullptr;
    const sg_status status = sg_engine_open(path.c_str(), options, &engine);
    sg_engine_close(engine);
    return status;
  }
  std::string folder_;
};

std::vector<float> floats(const samplegraph::Array& array) { return {array.data<float>(), array.data<float>() + array.size()}; }

TEST_F(OnnxRuntime, AGraphGivesTheSameSampleWhateverItsBatch) {
  Engine one = open("toy-1.onnx"), four = open("toy-4.onnx"), any = open("toy-any.onnx");
  Request request;
  request.seed(3).set("class_labels", {3, 1, 4, 1, 5});
  const auto sample = one.sample(request);
  EXPECT_EQ(sample.shape(), (std::vector<std::int64_t>{5, 1, 4, 4}));
  EXPECT_EQ(floats(sample), floats(four.sample(request)));
  EXPECT_EQ(floats(sample), floats(any.sample(request)));
  EXPECT_EQ(one.info().slices, 2);
  EXPECT_EQ(one.providers(), "cpu");
  EXPECT_THROW(sample.data<double>(), samplegraph::Error);
}

TEST_F(OnnxRuntime, ADynamicBatchMayChangeFromCallToCall) {
  Engine any = open("toy-any.onnx");
  Request request;
  request.seeds({1, 2, 3}).set("class_labels", 4);
  const auto three = floats(any.sample(request));
  const auto two = floats(any.sample(Request().seeds({1, 2}).set("class_labels", 4)));
  EXPECT_EQ(two, std::vector<float>(three.begin(), three.begin() + 32));
  EXPECT_EQ(floats(any.sample(request)), three);
}

TEST_F(OnnxRuntime, EightThreadsOnOneHandleAndOnMany) {
  Engine shared = open("toy-4.onnx");
  shared.warm_up(8);
  std::vector<std::vector<float>> wanted;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    wanted.push_back(floats(shared.sample(Request().seed(seed).set("class_labels", {1, 2, 3}))));
  }
  std::atomic<int> wrong{0}, calls{0};
  for (const bool many : {false, true}) {
    std::vector<std::thread> threads;
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
      threads.emplace_back([&, seed] {
        try {
          std::unique_ptr<Engine> own;
          if (many) own = std::make_unique<Engine>(open("toy-4.onnx"));
          Engine& engine = many ? *own : shared;
          Request request;
          request.seed(seed).set("class_labels", {1, 2, 3});
          std::vector<float> out(48);
          for (int i = 0; i < 1000; ++i, ++calls) {
            engine.sample_into(request, out.data(), 192);
            if (out != wanted[seed]) ++wrong;
          }
        } catch (const samplegraph::Error&) {
          ++wrong;
        }
      });
    }
    for (std::thread& each : threads) each.join();
  }
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(calls, 16000);
}

TEST_F(OnnxRuntime, ACallIsCancelledFromAnotherThread) {
  Engine engine = open("slow.onnx");
  samplegraph::Stop stop(engine);
  Request request;
  request.seed(0).stop(stop);
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  engine.sample(request);
  const auto whole = Clock::now() - start;
  std::thread other([&] {
    std::this_thread::sleep_for(whole / 10);
    stop.request();
  });
  const auto again = Clock::now();
  try {
    engine.sample(request);
    ADD_FAILURE() << "not cancelled";
  } catch (const samplegraph::Error& error) {
    EXPECT_EQ(error.code(), SG_CANCELLED);
    EXPECT_STREQ(error.what(), "cancelled after 0 of 1 call");
  }
  EXPECT_LT(Clock::now() - again, whole * 3 / 4);
  other.join();
  EXPECT_THROW(engine.sample(request), samplegraph::Error);
  stop.reset();
  engine.sample(request);
}

TEST_F(OnnxRuntime, AStopOutlivesItsEngine) {
  auto engine = std::make_unique<Engine>(open("toy-1.onnx"));
  samplegraph::Stop stop(*engine);
  engine.reset();
  stop.request();
  stop.reset();
}

TEST_F(OnnxRuntime, WhatAProgressFunctionThrowsComesThrough) {
  Engine engine = open("toy-1.onnx");
  Request request;
  request.seed(0).set("class_labels", {1, 2}).progress([](std::int64_t, std::int64_t) { throw std::range_error("mine"); });
  EXPECT_THROW(engine.sample(request), std::range_error);
  std::vector<std::int64_t> told;
  request.progress([&](std::int64_t done, std::int64_t total) { told.push_back(10 * done + total); });
  engine.sample(request);
  EXPECT_EQ(told, (std::vector<std::int64_t>{12, 22}));
}

TEST_F(OnnxRuntime, GraphsThatAreRefused) {
  const auto refused = [&](const std::string& name, const std::string& text) {
    EXPECT_EQ(open_status(folder_ + name), SG_BAD_FILE) << name;
    EXPECT_NE(std::string(sg_last_error()).find(text), std::string::npos) << sg_last_error();
  };
  refused("nope.onnx", "ONNX Runtime cannot load it (");
  refused("mismatch.onnx", "the manifest says noise is tensor(float) [1, 1, 4, 4], in the graph it is tensor(float) [1, 1, 4, 5]");
  refused("unnamed.onnx", "the manifest does not name class_labels of the graph");
  refused("lost-weights.onnx", "weights file 'w.bin' is missing");
  refused("outside.onnx", "its weights '../w.bin' lie outside its folder");
  refused("toy-1.onnx.json", "is no graph; give the .onnx file, or the engine, that it belongs to");
}

TEST_F(OnnxRuntime, AGraphThatFailsAtRunTime) {
  Engine engine = open("gather.onnx");
  engine.sample(Request().seed(0).set("class_labels", 4));
  try {
    engine.sample(Request().seed(0).set("class_labels", 5));
    ADD_FAILURE();
  } catch (const samplegraph::Error& error) {
    EXPECT_EQ(error.code(), SG_ENGINE_FAILED);
    EXPECT_NE(std::string(error.what()).find("ONNX Runtime failed at running it ("), std::string::npos);
  }
  engine.sample(Request().seed(0).set("class_labels", 4));
}

TEST_F(OnnxRuntime, LibrariesAndOptionsThatAreRefused) {
  const auto refused = [&](sg_status status, const sg_options& options, const std::string& text) {
    EXPECT_EQ(open_status(folder_ + "toy-1.onnx", &options), status);
    EXPECT_NE(std::string(sg_last_error()).find(text), std::string::npos) << sg_last_error();
  };
  sg_options options = SG_OPTIONS_INIT;
  options.onnxruntime = "/no/such/libonnxruntime.so";
  refused(SG_NO_ENGINE, options, "/no/such/libonnxruntime.so");
  refused(SG_NO_ENGINE, options, "set --onnxruntime or SAMPLEGRAPH_ONNXRUNTIME to libonnxruntime");
  const std::string text = sg::test::write_temporary("libonnxruntime.so", "not a library");
  options.onnxruntime = text.c_str();
  refused(SG_NO_ENGINE, options, "not a shared library");
  options.onnxruntime = "/";
  refused(SG_NO_ENGINE, options, "/: no libonnxruntime in this folder");
#if defined(__linux__)
  options.onnxruntime = "libm.so.6";
  refused(SG_NO_ENGINE, options, "libm.so.6: not ONNX Runtime (it has no OrtGetApiBase)");
#endif
  options = SG_OPTIONS_INIT;
  options.threads = -1;
  refused(SG_BAD_ARGUMENT, options, "threads=-1 is not allowed");
  options.threads = 0;
  sg_provider provider = {"cudo", nullptr, nullptr, 0};
  options.providers = &provider;
  options.provider_count = 1;
  refused(SG_NO_ENGINE, options, "providers='cudo' is not available; the ONNX Runtime at hand has ");
  provider.name = nullptr;
  refused(SG_BAD_ARGUMENT, options, "the name of a provider is a null pointer");
  options.providers = nullptr;
  refused(SG_BAD_ARGUMENT, options, "providers is a null pointer");
  options = SG_OPTIONS_INIT;
  samplegraph::Options with_providers;
  with_providers.providers = {"cpu", samplegraph::Provider("cudo", {{"device_id", "1"}})};
  EXPECT_THROW(Engine(folder_ + "toy-1.onnx", with_providers), samplegraph::Error);
  options.affinity = "nonsense";
  EXPECT_NE(open_status(folder_ + "toy-1.onnx", &options), SG_OK);
  options = SG_OPTIONS_INIT;
  options.struct_size = 3;
  refused(SG_BAD_ARGUMENT, options, "sg_options.struct_size=3 is not a size");
}

TEST_F(OnnxRuntime, OptionsThatAreTaken) {
  sg_options options = SG_OPTIONS_INIT;
  const char *keys[] = {"session.intra_op.allow_spinning"}, *values[] = {"0"};
  options.threads = 2;
  options.inter_op_threads = 2;
  options.affinity = "1";
  options.no_spinning = 1;
  options.config_keys = keys;
  options.config_values = values;
  options.config_count = 1;
  const sg_provider cpu = {"CPUExecutionProvider", nullptr, nullptr, 0};
  options.providers = &cpu;
  options.provider_count = 1;
  Engine engine(folder_ + "toy-1.onnx", options);
  EXPECT_EQ(engine.providers(), "cpu");
  EXPECT_EQ(floats(engine.sample(Request().seed(0).set("class_labels", 1))),
            floats(open("toy-1.onnx").sample(Request().seed(0).set("class_labels", 1))));
}

TEST_F(OnnxRuntime, NullPointers) {
  sg_engine* engine = nullptr;
  sg_stop* stop = nullptr;
  const sg_request request = SG_REQUEST_INIT;
  std::int64_t samples;
  float out[16];
  EXPECT_EQ(sg_engine_open(nullptr, nullptr, &engine), SG_BAD_ARGUMENT);
  EXPECT_EQ(sg_engine_open("x.onnx", nullptr, nullptr), SG_BAD_ARGUMENT);
  EXPECT_EQ(sg_count(nullptr, &request, &samples), SG_BAD_ARGUMENT);
  EXPECT_EQ(sg_sample(nullptr, &request, out, sizeof out), SG_BAD_ARGUMENT);
  EXPECT_EQ(sg_warm_up(nullptr, nullptr, 1), SG_BAD_ARGUMENT);
  EXPECT_EQ(sg_stop_create(nullptr, &stop), SG_BAD_ARGUMENT);
  sg_engine_close(nullptr);
  sg_stop_destroy(nullptr);
  sg_stop_request(nullptr);
  sg_stop_reset(nullptr);
  EXPECT_EQ(sg_engine_manifest(nullptr), nullptr);
  EXPECT_EQ(sg_engine_providers(nullptr), nullptr);
  EXPECT_EQ(sg_engine_library_version(nullptr), nullptr);

  Engine real = open("toy-1.onnx");
  EXPECT_EQ(sg_count(real.get(), nullptr, &samples), SG_BAD_ARGUMENT);
  EXPECT_EQ(sg_count(real.get(), &request, nullptr), SG_BAD_ARGUMENT);
  EXPECT_EQ(sg_sample(real.get(), nullptr, out, sizeof out), SG_BAD_ARGUMENT);
  EXPECT_EQ(sg_warm_up(real.get(), nullptr, 0), SG_BAD_ARGUMENT);
  EXPECT_EQ(sg_stop_create(real.get(), nullptr), SG_BAD_ARGUMENT);
  struct {  // a caller of a newer version that uses a field this library does not know
    sg_request known;
    std::uint64_t added;
  } newer = {SG_REQUEST_INIT, 1};
  newer.known.struct_size = sizeof newer;
  EXPECT_EQ(sg_count(real.get(), &newer.known, &samples), SG_BAD_ARGUMENT);
  EXPECT_NE(std::string(sg_last_error()).find("sets a field that this library"), std::string::npos);
}

}  // namespace
