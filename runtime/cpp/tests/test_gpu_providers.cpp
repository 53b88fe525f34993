/**
 * ONNX Runtime's GPU providers, on doubles: memory that is bound once, CUDA graphs, TF32, and what "auto" chooses. Needs
 * SAMPLEGRAPH_ONNXRUNTIME and SAMPLEGRAPH_TEST_GRAPHS, as test_onnxruntime does; no GPU.
 */
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "doubles/cudart.hpp"
#include "samplegraph/samplegraph.hpp"
#include "setting.hpp"
#include "support.hpp"
#include "text.hpp"

namespace {

using samplegraph::Engine;
using samplegraph::Provider;
using samplegraph::Request;
using sg::test::Setting;

std::vector<float> floats(const samplegraph::Array& array) {
  return {array.data<float>(), array.data<float>() + array.size()};
}

class GpuProviders : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("SAMPLEGRAPH_TEST_GRAPHS");
    if (folder == nullptr || std::getenv("SAMPLEGRAPH_ONNXRUNTIME") == nullptr) {
      GTEST_SKIP() << "SAMPLEGRAPH_TEST_GRAPHS and SAMPLEGRAPH_ONNXRUNTIME are not set";
    }
    graphs_ = std::string(folder) + "/";
    options_.onnxruntime = SG_TEST_DOUBLES "/onnxruntime";
    options_.cuda = SG_TEST_DOUBLES;
    options_.threads = 1;
    options_.kernel_cache = "";
    told_ = testing::TempDir() + "told";
    std::remove(told_.c_str());
    setenv("DOUBLE_TOLD", told_.c_str(), 1);
    setenv("DOUBLE_PLAIN", "1", 1);
    double_reset_counts();
  }

  Engine open(std::vector<Provider> providers, const std::string& name = "toy-4") {
    options_.providers = std::move(providers);
    return Engine(graphs_ + name + ".onnx", options_);
  }
  Request request() const {
    Request made;
    made.seed(3).set("class_labels", {3, 1, 4, 1});
    return made;
  }
  std::vector<float> reference() const {
    samplegraph::Options options;
    options.threads = 1;
    Request asked = request();
    return floats(Engine(graphs_ + "toy-4.onnx", options).sample(asked));
  }
  /** What the providers were told since it was asked last. */
  std::string told() const {
    std::ifstream file(told_);
    std::string all((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::remove(told_.c_str());
    return all;
  }
  bool was_told(const std::string& text) const { return told().find(text) != std::string::npos; }

  std::string graphs_, told_;
  samplegraph::Options options_;
};

TEST_F(GpuProviders, TensorsStayBoundInTheGpusMemory) {
  Engine engine = open({"cuda"});
  EXPECT_EQ(engine.providers(), "cuda,cpu");
  Request asked = request();
  const auto wanted = reference();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(floats(engine.sample(asked)), wanted);
  EXPECT_EQ(double_count("cudaMalloc"), 5);
  const std::string text = told();
  EXPECT_NE(text.find("memory Cuda 0"), std::string::npos) << text;
  EXPECT_NE(text.find("cuda enable_cuda_graph=1 use_tf32=0\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("run gpu_graph_id=1\n"), text.rfind("run ")) << text;  // once for all runs
  EXPECT_EQ(engine.notes(), "");
}

TEST_F(GpuProviders, OptionsOfTheCallerStay) {
  options_.tf32 = true;
  open({Provider("cuda", {{"device_id", "0"}, {"enable_cuda_graph", "0"}})});
  EXPECT_TRUE(was_told("cuda device_id=0 enable_cuda_graph=0 use_tf32=1\n"));
  open({Provider("cuda", {{"use_tf32", "0"}})});
  EXPECT_TRUE(was_told("cuda use_tf32=0 enable_cuda_graph=1\n"));
  options_.cuda_graph = false;
  Engine plain = open({"cuda"});
  Request asked = request();
  EXPECT_EQ(floats(plain.sample(asked)), reference());
  EXPECT_FALSE(was_told("gpu_graph_id"));
}

TEST_F(GpuProviders, TwoContextsHaveGraphsOfTheirOwn) {
  Engine engine = open({"cuda"});
  Request asked = request();
  engine.warm_up(asked, 2);
  const std::string text = told();
  EXPECT_NE(text.find("gpu_graph_id=1\n"), std::string::npos);
  EXPECT_NE(text.find("gpu_graph_id=2\n"), std::string::npos);
}

TEST_F(GpuProviders, AGraphThatIsRefusedIsLeftOut) {
  const auto wanted = reference();
  for (const char* refused : {"session-with-graphs", "run-with-graph"}) {
    const Setting setting("DOUBLE_REFUSES", refused);
    Engine engine = open({"cuda"});
    Request asked = request();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(floats(engine.sample(asked)), wanted);
    EXPECT_EQ(engine.notes().find("no CUDA graph: " + graphs_), 0u) << engine.notes();
  }
}

TEST_F(GpuProviders, TensorRTTakesOneShapeForAGraph) {
  const Setting setting("DOUBLE_STARTS", "tensorrt nvtensorrtrtx");
  open({"tensorrt"}, "toy-any");
  EXPECT_FALSE(was_told("trt_cuda_graph_enable"));
  Engine engine = open({"tensorrt"});
  EXPECT_TRUE(was_told("tensorrt trt_cuda_graph_enable=1\n"));
  EXPECT_EQ(engine.notes(), "tensorrt has no switch for TF32; set NVIDIA_TF32_OVERRIDE=0 for products in full float32");
  const Setting override("NVIDIA_TF32_OVERRIDE", "0");
  EXPECT_EQ(open({"nvtensorrtrtx"}, "toy-any").notes(), "");
  EXPECT_TRUE(was_told("nvtensorrtrtx enable_cuda_graph=1\n"));
}

TEST_F(GpuProviders, TensorRTRTXIsToldWhereToKeepKernels) {
  const Setting setting("DOUBLE_STARTS", "tensorrt nvtensorrtrtx");
  const std::string folder = testing::TempDir() + "kernels-of-providers";
  options_.kernel_cache = folder;
  open({"nvtensorrtrtx"});
  EXPECT_TRUE(was_told(sg::cat("nvtensorrtrtx enable_cuda_graph=1 nv_runtime_cache_path=", folder, "/onnxruntime\n")));
  EXPECT_TRUE(std::filesystem::is_directory(folder + "/onnxruntime"));
  std::filesystem::remove_all(folder);
  options_.kernel_cache = "";
  open({"nvtensorrtrtx"});
  EXPECT_FALSE(was_told("nv_runtime_cache_path"));
}

TEST_F(GpuProviders, AutoTakesTheBestThatStarts) {
  const auto wanted = reference();
  Request asked = request();
  Engine engine = open({"auto"});
  EXPECT_EQ(engine.providers(), "cuda,cpu");
  EXPECT_EQ(floats(engine.sample(asked)), wanted);
  const std::string notes = engine.notes();
  EXPECT_EQ(notes.find("not nvtensorrtrtx: providers='nvtensorrtrtx' is installed but does not start here (libcunvtensorrtrtx.so is"
                       " not there)"), 0u) << notes;
  EXPECT_NE(notes.find("\nnot tensorrt: "), std::string::npos) << notes;
  {
    const Setting setting("DOUBLE_STARTS", "tensorrt cuda");
    EXPECT_EQ(open({"auto"}).providers(), "tensorrt,cpu");
  }
  const Setting setting("DOUBLE_STARTS", "none");
  Engine host = open({"auto"});
  EXPECT_EQ(host.providers(), "cpu");
  EXPECT_NE(host.notes().find("\nnot cuda: "), std::string::npos);
  EXPECT_EQ(floats(host.sample(asked)), wanted);
}

TEST_F(GpuProviders, WithoutCudaOnnxRuntimeCopies) {
  const Setting setting("DOUBLE_DEVICES", "0");
  Engine engine = open({"cuda"});
  Request asked = request();
  EXPECT_EQ(floats(engine.sample(asked)), reference());
  EXPECT_EQ(engine.notes().find("inputs and outputs are copied at every call: no NVIDIA GPU can be used here (no device)"), 0u);
  EXPECT_FALSE(was_told("memory Cuda"));
}

TEST_F(GpuProviders, SeveralThreads) {
  Engine engine = open({"cuda"});
  const auto wanted = reference();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      Request asked = request();
      for (int i = 0; i < 30; ++i) wrong += floats(engine.sample(asked)) != wanted;
    });
  }
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
