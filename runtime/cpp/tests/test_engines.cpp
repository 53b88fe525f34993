/**
 * Engine files, on doubles of NVIDIA's libraries: what is enqueued, captured, copied and refused. Needs
 * SAMPLEGRAPH_ONNXRUNTIME and SAMPLEGRAPH_TEST_GRAPHS, as test_onnxruntime does; no GPU.
 */
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <thread>

#include "allocations.hpp"
#include "doubles/cudart.hpp"
#include "kept_file.hpp"
#include "samplegraph/samplegraph.hpp"
#include "setting.hpp"
#include "sha256.hpp"
#include "support.hpp"
#include "text.hpp"
#include "watched.hpp"

extern "C" {
int cudaMalloc(void** out, std::size_t bytes);
int cudaFree(void* memory);
int cudaHostAlloc(void** out, std::size_t bytes, unsigned);
int cudaFreeHost(void* memory);
int cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, int kind, CUstream_st* stream);
int cudaStreamCreateWithFlags(CUstream_st** out, unsigned);
int cudaStreamDestroy(CUstream_st* stream);
int cudaStreamSynchronize(CUstream_st* stream);
}

namespace {

using samplegraph::Engine;
using samplegraph::Request;
using sg::cat;
using sg::test::Setting;

std::vector<float> floats(const samplegraph::Array& array) {
  return {array.data<float>(), array.data<float>() + array.size()};
}

/** Memory of the "GPU". */
class OnDevice {
 public:
  explicit OnDevice(std::size_t count) : bytes_(count * sizeof(float)) { EXPECT_EQ(cudaMalloc(&data_, bytes_), 0); }
  explicit OnDevice(const std::vector<float>& values) : OnDevice(values.size()) {
    std::memcpy(double_host_address(data_, bytes_), values.data(), bytes_);
  }
  ~OnDevice() { cudaFree(data_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  void* data() const { return data_; }
  std::vector<float> values() const {
    const auto* from = static_cast<const float*>(double_host_address(data_, bytes_));
    return {from, from + bytes_ / sizeof(float)};
  }

 private:
  std::size_t bytes_;
  void* data_ = nullptr;
};

/** Where kernels are kept; gone with this. */
class Folder {
 public:
  Folder() : path(testing::TempDir() + "kernels") { std::filesystem::remove_all(path); }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  /** The only file in it. */
  std::string file() const {
    std::string found;
    for (const auto& each : std::filesystem::directory_iterator(path)) {
      EXPECT_EQ(found, "");
      found = each.path().string();
    }
    return found;
  }
  std::string path;
};

class Engines : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("SAMPLEGRAPH_TEST_GRAPHS");
    if (folder == nullptr || std::getenv("SAMPLEGRAPH_ONNXRUNTIME") == nullptr) {
      GTEST_SKIP() << "SAMPLEGRAPH_TEST_GRAPHS and SAMPLEGRAPH_ONNXRUNTIME are not set";
    }
    graphs_ = std::string(folder) + "/";
    options_.tensorrt = options_.cuda = SG_TEST_DOUBLES;
    options_.kernel_cache = "";
    double_reset_counts();
  }

  std::string graph(const std::string& name) const { return graphs_ + name + ".onnx"; }

  /** An engine of that graph, with a sidecar in which `from` is replaced by `to`. */
  std::string built(const std::string& name, const std::string& builder = "tensorrt", const std::string& batch = "",
                    const std::string& from = "", const std::string& to = "") const {
    const std::string content = "double " + graph(name);
    const std::string made = cat(R"("engine": {"sha256": ")", sg::sha256(content.data(), content.size()), R"(", "bytes": )",
                                 std::to_string(content.size()), R"(, "graph_sha256": "g", "weights_sha256": "w", "builder": ")",
                                 builder, R"(", "builder_version": ")", builder == "tensorrt" ? "11.1.0.106" : "1.7.1.116",
                                 R"(", "target": "sm89", "batch": [)", batch, "]}");
    std::string json = sg::read_manifest(graph(name)).json;
    json = sg::test::replaced(json, R"("engine": null)", made);
    const std::size_t weights = json.find(R"("weights": {)"), digest = json.find(R"("sha256": ")", weights) + 11;
    json.replace(digest, json.find('"', digest) - digest, "w");
    if (!from.empty()) json = sg::test::replaced(json, from, to);
    const std::string path = sg::test::write_temporary(name + ".sm89.engine", content);
    sg::test::write_temporary(name + ".sm89.engine.json", json);
    return path;
  }

  Engine open(const std::string& path) const { return Engine(path, options_); }
  std::vector<float> reference(const std::string& name, Request& request) const {
    samplegraph::Options options;
    options.threads = 1;
    return floats(Engine(graph(name), options).sample(request));
  }
  void refused(const std::string& path, sg_status code, const std::string& text) const {
    try {
      open(path);
      ADD_FAILURE() << "loaded; expected: " << text;
    } catch (const samplegraph::Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
    }
  }

  std::string graphs_;
  samplegraph::Options options_;
};

TEST_F(Engines, BindsOnceCapturesOnceAndReplays) {
  Engine engine = open(built("toy-4"));
  EXPECT_EQ(engine.providers(), "tensorrt");
  EXPECT_EQ(engine.library_version(), "11.1.0.106");
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Request request;
    request.seed(seed).set("class_labels", {3, 1, 4, 1});
    EXPECT_EQ(floats(engine.sample(request)), reference("toy-4", request));
  }
  EXPECT_EQ(double_count("deserializeCudaEngine"), 1);
  EXPECT_EQ(double_count("createExecutionContext"), 1);
  EXPECT_EQ(double_count("setTensorAddress"), 5);  // four inputs, one output
  EXPECT_EQ(double_count("cudaStreamBeginCapture"), 1);
  EXPECT_EQ(double_count("enqueueV3"), 2);  // as it is, and captured
  EXPECT_EQ(double_count("cudaGraphLaunch"), 4);
  EXPECT_EQ(double_count("cudaMalloc"), 5);
  EXPECT_EQ(engine.notes(), "");
}

TEST_F(Engines, ANewBatchIsBoundAndCapturedAnew) {
  Engine engine = open(built("toy-any", "tensorrt", "1, 2, 8"));
  for (const std::int64_t rows : {1, 3, 3, 2, 1}) {
    Request request;
    request.seed(7).samples(rows).set("class_labels", 4);
    EXPECT_EQ(floats(engine.sample(request)), reference("toy-any", request));
  }
  EXPECT_EQ(double_count("cudaStreamBeginCapture"), 4);
  EXPECT_EQ(double_count("cudaGraphLaunch"), 1);
}

TEST_F(Engines, MoreRowsThanItsProfileAreSeveralCallsAndFewerArePadded) {
  Engine engine = open(built("toy-any", "tensorrt", "2, 2, 4"));
  for (const std::int64_t rows : {1, 9}) {
    Request request;
    std::vector<std::int64_t> told;
    request.seed(7).samples(rows).set("class_labels", 4).progress(nullptr);
    const auto wanted = reference("toy-any", request);
    request.progress([&](std::int64_t, std::int64_t total) { told.push_back(total); });
    EXPECT_EQ(floats(engine.sample(request)), wanted);
    EXPECT_EQ(told, std::vector<std::int64_t>(rows == 1 ? 1 : 3, rows == 1 ? 1 : 3));
  }
}

TEST_F(Engines, WhatCannotBeCapturedIsEnqueued) {
  for (const auto& [variable, value] : {std::pair("DOUBLE_FAIL", "cudaStreamBeginCapture=901"),
                                        {"DOUBLE_FAIL", "cudaStreamEndCapture=901"},
                                        {"DOUBLE_FAIL", "cudaGraphInstantiateWithFlags=901"},
                                        {"DOUBLE_REFUSES", "enqueueV3-in-capture"}}) {
    double_reset_counts();
    const Setting setting(variable, value);
    Engine engine = open(built("toy-1"));
    for (std::uint64_t seed = 0; seed < 3; ++seed) {
      Request request;
      request.seed(seed).set("class_labels", 3);
      EXPECT_EQ(floats(engine.sample(request)), reference("toy-1", request)) << value;
    }
    EXPECT_EQ(double_count("cudaGraphLaunch"), 0);
    EXPECT_LE(double_count("cudaStreamBeginCapture"), 1);
    EXPECT_EQ(engine.notes().find("no CUDA graph: "), 0u) << engine.notes();
    EXPECT_EQ(engine.notes().find('\n'), std::string::npos);
  }
}

/** ONNX Runtime allocates in the double; nothing else does, as of the .onnx file in ONNX Runtime itself. */
TEST_F(Engines, NothingIsAllocatedAfterTheFirstCall) {
  samplegraph::Options host;
  host.threads = 1;
  const Folder folder;
  options_.kernel_cache = folder.path;
  Engine engines[] = {Engine(graph("toy-4"), host), open(built("toy-4")), open(built("toy-4", "tensorrt-rtx"))};
  Request request;
  request.seed(0).set("class_labels", {1, 2, 3, 4});
  std::vector<float> out(64);
  std::vector<long> counts;
  for (Engine& each : engines) {
    each.warm_up(request);
    each.sample_into(request, out.data(), 256);
    sg::test::allocations = 0;
    {
      const sg::test::Counting scope;
      for (int i = 0; i < 10; ++i) each.sample_into(request, out.data(), 256);
    }
    counts.push_back(sg::test::allocations);
  }
  EXPECT_GT(counts[0], 0);
  EXPECT_EQ(counts[1], counts[0]);
  EXPECT_EQ(counts[2], counts[0]);
}

TEST_F(Engines, GraphsCanBeTurnedOff) {
  options_.cuda_graph = false;
  Engine engine = open(built("toy-1"));
  Request request;
  request.seed(0).set("class_labels", 3);
  engine.warm_up(request);
  EXPECT_EQ(floats(engine.sample(request)), reference("toy-1", request));
  EXPECT_EQ(double_count("enqueueV3"), 2);
  EXPECT_EQ(double_count("cudaStreamBeginCapture"), 0);
}

TEST_F(Engines, TensorRTRTXCapturesByItself) {
  for (const bool graphs : {true, false}) {
    options_.cuda_graph = graphs;
    Engine engine = open(built("toy-1", "tensorrt-rtx"));
    EXPECT_EQ(engine.providers(), "tensorrt-rtx");
    Request request;
    request.seed(0).set("class_labels", 3);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(floats(engine.sample(request)), reference("toy-1", request));
    EXPECT_EQ(engine.notes(), "");
  }
  EXPECT_EQ(double_count("context that captures"), 1);
  EXPECT_EQ(double_count("context that does not capture"), 1);
  EXPECT_EQ(double_count("cudaStreamBeginCapture"), 0);
}

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST_F(Engines, CompiledKernelsAreKeptForTheNextStart) {
  const Folder folder;
  options_.kernel_cache = folder.path;
  const std::string path = built("toy-any", "tensorrt-rtx", "1, 1, 4");
  struct Start {
    std::vector<std::int64_t> labels;
    long compiled, serialized;
  };
  for (const Start& start : {Start{{3}, 1, 1}, Start{{3}, 1, 2}, Start{{3, 1, 4}, 2, 3}, Start{{3}, 2, 4}, Start{{3, 1, 4}, 2, 5}}) {
    Engine engine = open(path);
    Request request;
    request.seed(0).set("class_labels", start.labels);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(floats(engine.sample(request)), reference("toy-any", request));
    EXPECT_EQ(engine.notes(), "");
    EXPECT_EQ(double_count("compile"), start.compiled);
    EXPECT_EQ(double_count("serialize"), start.serialized);  // once for each shape of a start
  }
  const std::string bytes = content(path);
  EXPECT_EQ(folder.file(), cat(folder.path, "/", sg::sha256(bytes.data(), bytes.size()), ".kernels"));
}

TEST_F(Engines, KernelsAreKeptOnceForEachShape) {
  const Folder folder;
  options_.kernel_cache = folder.path;
  Engine engine = open(built("toy-any", "tensorrt-rtx", "1, 1, 4"));
  for (int i = 0; i < 3; ++i) {
    for (const std::vector<std::int64_t>& labels : {std::vector<std::int64_t>{3}, {3, 1, 4}}) {
      Request request;
      request.seed(0).set("class_labels", labels);
      engine.sample(request);
    }
  }
  EXPECT_EQ(double_count("compile"), 2);
  EXPECT_EQ(double_count("serialize"), 2);
}

TEST_F(Engines, KernelsThatAreDamagedOrForeignAreCompiledAgain) {
  const Folder folder;
  options_.kernel_cache = folder.path;
  const std::string path = built("toy-1", "tensorrt-rtx");
  const auto start = [&] {
    Engine engine = open(path);
    Request request;
    request.seed(0).set("class_labels", 3);
    EXPECT_EQ(floats(engine.sample(request)), reference("toy-1", request));
    return engine.notes();
  };
  EXPECT_EQ(start(), "");
  const std::string whole = content(folder.file());
  long compiled = 1;
  for (const std::string& damaged : {whole.substr(0, 40), whole.substr(0, whole.size() - 1), std::string(whole.size(), '0')}) {
    std::ofstream(folder.file(), std::ios::binary) << damaged;
    EXPECT_EQ(start(), "");
    EXPECT_EQ(double_count("compile"), ++compiled);
    EXPECT_EQ(content(folder.file()), whole);
  }
  const Setting setting("DOUBLE_DRIVER", "590");
  EXPECT_EQ(start(), cat(folder.file(), ": is of another GPU, driver or version, so its kernels are compiled again"));
  EXPECT_EQ(double_count("compile"), ++compiled);
  EXPECT_EQ(start(), "");
  EXPECT_EQ(double_count("compile"), compiled);
}

TEST_F(Engines, WhereNoKernelsCanBeKeptAllElseWorks) {
  const Folder folder;
  std::ofstream(folder.path) << "a file";
  for (const char* where : {"", folder.path.c_str(), "/proc/none"}) {
    options_.kernel_cache = where;
    Engine engine = open(built("toy-1", "tensorrt-rtx"));
    Request request;
    request.seed(0).set("class_labels", 3);
    EXPECT_EQ(floats(engine.sample(request)), reference("toy-1", request));
    EXPECT_EQ(engine.notes(), "");
  }
  EXPECT_EQ(double_count("compile"), 3);
  EXPECT_EQ(content(folder.path), "a file");
}

TEST_F(Engines, TheUsersFolderIsThatOfTheEnvironment) {
  const Folder folder;
  options_.kernel_cache.reset();
  for (const auto& [variable, below] : {std::pair{"SAMPLEGRAPH_CACHE", ""}, std::pair{"XDG_CACHE_HOME", "/samplegraph"}}) {
    unsetenv("SAMPLEGRAPH_CACHE");
    const Setting setting(variable, folder.path.c_str());
    Request request;
    request.seed(0).set("class_labels", 3);
    open(built("toy-1", "tensorrt-rtx")).sample(request);
    EXPECT_TRUE(std::filesystem::is_directory(folder.path + below));
    std::filesystem::remove_all(folder.path);
  }
}

TEST(KeptFiles, TheLongestUnusedGoFirst) {
  const Folder folder;
  for (const char* name : {"a", "b", "c"}) sg::write_kept(cat(folder.path, "/", name, ".kernels"), std::string(100, *name));
  std::ofstream(folder.path + "/of someone else") << std::string(9000, 'x');
  const auto now = std::filesystem::file_time_type::clock::now();
  const auto path = [&](const char* name) { return cat(folder.path, "/", name, ".kernels"); };
  std::filesystem::last_write_time(path("a"), now - std::chrono::hours(3));
  std::filesystem::last_write_time(path("b"), now - std::chrono::hours(2));
  std::filesystem::last_write_time(path("c"), now - std::chrono::hours(1));
  EXPECT_EQ(sg::read_kept(path("a")), std::string(100, 'a'));  // used
  sg::write_kept(path("d"), std::string(100, 'd'), 3 * 164);
  EXPECT_EQ(sg::read_kept(path("b")), "");
  for (const char* name : {"a", "c", "d"}) EXPECT_EQ(sg::read_kept(path(name)), std::string(100, *name));
  EXPECT_TRUE(std::filesystem::exists(folder.path + "/of someone else"));
}

TEST_F(Engines, ArraysOnTheDeviceAreReadAndWrittenThere) {
  std::vector<float> noise(5 * 16), steps(2 * 5 * 16);
  for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<float>(i) * 0.25f;
  for (std::size_t i = 0; i < steps.size(); ++i) steps[i] = static_cast<float>(i) * 0.125f;
  Request request;
  request.set("class_labels", {3, 1, 4, 1, 5}).view("noise", noise.data(), {5, 1, 4, 4}, SG_FLOAT32);
  request.view("step_noise", steps.data(), {2, 5, 1, 4, 4}, SG_FLOAT32);
  for (const char* name : {"toy-1", "toy-4", "toy-any"}) {  // one row a call, a padded call, all at once
    const auto wanted = reference(name, request);
    Engine engine = open(built(name));
    const OnDevice noise_there(noise), steps_there(steps), out(80);
    Request there;
    there.set("class_labels", {3, 1, 4, 1, 5}).view_device("noise", noise_there.data(), {5, 1, 4, 4}, SG_FLOAT32);
    there.view_device("step_noise", steps_there.data(), {2, 5, 1, 4, 4}, SG_FLOAT32);
    engine.sample_to_device(there, out.data(), 320);
    EXPECT_EQ(out.values(), wanted);
    EXPECT_EQ(floats(engine.sample(there)), wanted);
  }
}

TEST_F(Engines, DLPackTensors) {
  struct {  // the fields of a DLTensor
    void* data;
    struct { int device_type, device_id; } device;
    int ndim;
    struct { std::uint8_t code, bits; std::uint16_t lanes; } dtype;
    std::int64_t *shape, *strides;
    std::uint64_t byte_offset;
  } tensor{};
  std::int64_t shape[] = {1, 1, 4, 4}, strides[] = {99, 16, 4, 1}, gaps[] = {32, 32, 8, 1};
  const std::vector<float> noise(16, 0.5f), steps(32, 0.25f);
  std::vector<float> more(17, 0.5f);
  const OnDevice noise_there(more);
  tensor.data = noise_there.data();
  tensor.byte_offset = 4;
  tensor.device = {2, 0};
  tensor.ndim = 4;
  tensor.dtype = {2, 32, 1};
  tensor.shape = shape;
  Request wanted, request;
  for (Request* each : {&wanted, &request}) {
    each->set("class_labels", 3).view("step_noise", steps.data(), {2, 1, 1, 4, 4}, SG_FLOAT32);
  }
  wanted.view("noise", noise.data(), {1, 1, 4, 4}, SG_FLOAT32);
  Engine engine = open(built("toy-1"));
  for (std::int64_t* each : {static_cast<std::int64_t*>(nullptr), strides}) {
    tensor.strides = each;
    EXPECT_EQ(floats(engine.sample(request.view_dlpack("noise", tensor))), reference("toy-1", wanted));
  }
  tensor.strides = gaps;
  EXPECT_THROW(request.view_dlpack("noise", tensor), samplegraph::Error);
  tensor.strides = nullptr;
  tensor.device.device_type = 4;
  EXPECT_THROW(request.view_dlpack("noise", tensor), samplegraph::Error);
  tensor.device.device_type = 2;
  tensor.dtype.lanes = 4;
  EXPECT_THROW(request.view_dlpack("noise", tensor), samplegraph::Error);
}

TEST_F(Engines, ACallComesAfterTheCallersStream) {
  CUstream_st* stream = nullptr;
  void* pinned = nullptr;
  cudaStreamCreateWithFlags(&stream, 0);
  cudaHostAlloc(&pinned, 64, 0);
  const std::vector<float> noise(16, 0.5f), steps(32, 0.25f);
  std::memcpy(pinned, noise.data(), 64);
  const OnDevice there(16);
  Request wanted, request;
  for (Request* each : {&wanted, &request}) {
    each->set("class_labels", 3).view("step_noise", steps.data(), {2, 1, 1, 4, 4}, SG_FLOAT32);
  }
  wanted.view("noise", noise.data(), {1, 1, 4, 4}, SG_FLOAT32);
  request.view_device("noise", there.data(), {1, 1, 4, 4}, SG_FLOAT32).device_stream(stream);
  Engine engine = open(built("toy-1"));
  cudaMemcpyAsync(there.data(), pinned, 64, 4, stream);
  EXPECT_EQ(floats(engine.sample(request)), reference("toy-1", wanted));
  cudaFreeHost(pinned);
  cudaStreamDestroy(stream);
}

TEST_F(Engines, ArraysThatAreNotWhereTheyAreSaidToBe) {
  Engine engine = open(built("toy-1")), host(graph("toy-1"));
  std::vector<float> values(16, 0.5f);
  const std::vector<double> wide(16, 0.5);
  const OnDevice there(values);
  const auto refusal = [&](Engine& asked, Request& request, const std::string& text) {
    try {
      asked.sample(request);
      ADD_FAILURE() << text;
    } catch (const samplegraph::Error& error) {
      EXPECT_EQ(error.code(), SG_BAD_ARGUMENT);
      EXPECT_EQ(std::string(error.what()), text);
    }
  };
  std::vector<float> steps(32);
  Request request;
  request.set("class_labels", 3).view("step_noise", steps.data(), {2, 1, 1, 4, 4}, SG_FLOAT32);
  request.view_device("noise", values.data(), {1, 1, 4, 4}, SG_FLOAT32);
  refusal(engine, request, "noise does not lie in a GPU's memory; give its address there, or host memory as such");
  request.view_device("noise", there.data(), {1, 1, 4, 4}, SG_FLOAT32);
  refusal(host, request, "noise lies on a GPU and this engine runs on the host; give host memory");
  request.view_device("noise", there.data(), {1, 1, 2, 4}, SG_FLOAT64);
  refusal(engine, request, "noise has shape (1, 1, 2, 4); allowed is (M, 1, 4, 4); M is the number of samples");
  request.view_device("noise", there.data(), {1, 1, 4, 4}, SG_INT32);
  refusal(engine, request, "noise is int32 on the GPU; give it as float32");
  request.view_device("noise", nullptr, {1, 1, 4, 4}, SG_FLOAT32);
  refusal(engine, request, "noise has no data (a null pointer)");
  request.view_device("noise", there.data(), {1, 1, 4, 4}, SG_FLOAT32);
  EXPECT_THROW(engine.sample_to_device(request, values.data(), 64), samplegraph::Error);
  EXPECT_NE(std::string(sg_last_error()).find("output does not lie in a GPU's memory"), std::string::npos);
  engine.sample(request);
}

/** What is handed on stays on the device, and what is watched comes from there. */
TEST_F(Engines, ChunksAndStepsAreThoseOfTheirGraphs) {
  samplegraph::Options host;
  host.threads = 1;
  for (const char* builder : {"tensorrt", "tensorrt-rtx"}) {
    built("part-chunked.chunk-01", builder);
    for (const char* name : {"part-chunked.chunk-00", "part-step"}) {
      Engine engine = open(built(name, builder)), reference(graph(name), host);
      for (const std::int64_t samples : {3, 2}) {
        const auto ours = sg::test::watched(engine, samples), theirs = sg::test::watched(reference, samples);
        EXPECT_EQ(ours.samples, theirs.samples) << name;
        EXPECT_EQ(ours.places, theirs.places) << name;
        EXPECT_EQ(ours.x0, theirs.x0) << name;
      }
      const OnDevice out(96);  // without watching nothing waits
      Request request;
      double_reset_counts();
      engine.sample_to_device(request.seeds({4, 5}), out.data(), 384);
      EXPECT_EQ(out.values(), sg::test::watched(reference, 2).samples) << name;
      EXPECT_LE(double_count("cudaStreamSynchronize"), 4) << name;
    }
  }
}

TEST_F(Engines, ASetWithAMissingChunkIsRefused) {
  const std::string path = built("part-chunked.chunk-00");
  std::remove(sg::test::replaced(path, "chunk-00", "chunk-01").c_str());
  refused(path, SG_BAD_FILE, "part-chunked.chunk-01.sm89.engine: is missing; put all 2 chunks into one folder");
}

TEST_F(Engines, EightThreadsOnOneEngine) {
  Engine engine = open(built("toy-4"));
  std::vector<std::vector<float>> wanted;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    Request request;
    request.seed(seed).set("class_labels", {1, 2, 3});
    wanted.push_back(reference("toy-4", request));
  }
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    threads.emplace_back([&, seed] {
      try {
        Request request;
        request.seed(seed).set("class_labels", {1, 2, 3});
        for (int i = 0; i < 50; ++i) wrong += floats(engine.sample(request)) != wanted[seed];
      } catch (const samplegraph::Error&) {
        ++wrong;
      }
    });
  }
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(wrong, 0);
}

TEST_F(Engines, AFailureLeavesAUsableEngine) {
  Request request;
  request.seed(0).set("class_labels", 3);
  const auto wanted = reference("toy-1", request);
  for (const auto& [variable, value, code, text] :
       {std::tuple("DOUBLE_FAIL", "cudaMalloc=2", SG_NO_MEMORY, "the GPU cannot reserve 64 bytes (out of memory); give fewer samples"),
        {"DOUBLE_FAIL", "cudaHostAlloc=2", SG_NO_MEMORY, "(out of memory)"},
        {"DOUBLE_FAIL", "cudaStreamCreateWithFlags=700", SG_ENGINE_FAILED, "the GPU cannot make a stream"},
        {"DOUBLE_FAIL", "cudaMemcpyAsync=700", SG_ENGINE_FAILED, "the GPU cannot copy (the double fails); check the GPU"},
        {"DOUBLE_FAIL", "cudaStreamSynchronize=700", SG_ENGINE_FAILED, "the GPU cannot finish its work"},
        {"DOUBLE_REFUSES", "createExecutionContext", SG_NO_MEMORY, "the GPU has no room to run it (createExecutionContext)"},
        {"DOUBLE_REFUSES", "setInputShape", SG_ENGINE_FAILED, "does not take noise of shape (1, 1, 4, 4) (setInputShape)"},
        {"DOUBLE_REFUSES", "setTensorAddress", SG_ENGINE_FAILED, "does not take the address of noise"},
        {"DOUBLE_REFUSES", "enqueueV3", SG_ENGINE_FAILED, "tensorrt failed at running it (enqueueV3)"},
        {"DOUBLE_OTHER_OUTPUT", "1", SG_ENGINE_FAILED, "sample is (1, 1, 4, 5) and not (1, 1, 4, 4)"}}) {
    Engine engine = open(built("toy-1"));
    {
      const Setting setting(variable, value);
      try {
        engine.sample(request);
        ADD_FAILURE() << value;
      } catch (const samplegraph::Error& error) {
        EXPECT_EQ(error.code(), code) << value;
        EXPECT_NE(std::string(error.what()).find(text), std::string::npos) << error.what();
      }
    }
    EXPECT_EQ(floats(engine.sample(request)), wanted) << value;
  }
}

TEST_F(Engines, AFailedCallReadsTheCallersMemoryNoMore) {
  Engine engine = open(built("toy-1"));
  const std::vector<float> steps(32, 0.25f);
  Request request;
  request.set("class_labels", 3).view("step_noise", steps.data(), {2, 1, 1, 4, 4}, SG_FLOAT32);
  const Setting setting("DOUBLE_REFUSES", "enqueueV3");
  const OnDevice there(std::vector<float>(16, 0.5f));  // freed first; a stream with work would end the test
  EXPECT_THROW(engine.sample(request.view_device("noise", there.data(), {1, 1, 4, 4}, SG_FLOAT32)), samplegraph::Error);
}

TEST_F(Engines, FilesThatAreRefused) {
  const std::string path = built("toy-1"), content = "double " + graph("toy-1");
  const auto with = [&](const std::string& from, const std::string& to) { return built("toy-1", "tensorrt", "", from, to); };
  refused(with(R"("bytes": )" + std::to_string(content.size()), R"("bytes": 7)"), SG_BAD_FILE, " bytes and 7 were written; copy it");
  refused(with(R"("engine": {"sha256": ")", R"("engine": {"sha256": "0)"), SG_BAD_FILE, "its bytes are not those that its sidecar names");
  refused(with(R"("weights_sha256": "w")", R"("weights_sha256": "v")"), SG_BAD_FILE, "was built from other weights than its sidecar");
  refused(with(R"("target": "sm89")", R"("target": "sm120")"), SG_NO_ENGINE, "was built for sm120 and this GPU is sm89; build it with --target sm89");
  refused(with("11.1.0.106", "11.0.0.1"), SG_NO_ENGINE, "was built by tensorrt 11.0.0.1 and 11.1.0.106 is installed");
  refused(with(R"("builder": "tensorrt")", R"("builder": "other")"), SG_BAD_FILE, "is an engine of 'other', which this runtime does not know");
  refused(with(R"("batch": [])", R"("batch": [3, 2, 1])"), SG_BAD_FILE, "the manifest is damaged (engine.batch is 2)");
  refused(with(R"("engine": {)", R"("engine": null, "other": {)"), SG_BAD_FILE, "toy-1.sm89.engine.json: describes a graph and no engine");
  const auto graph_beside = [&](const std::string& bytes) { return sg::test::write_temporary("toy-1.onnx", bytes); };
  const std::string beside = graph_beside("another graph");
  refused(with("", ""), SG_BAD_FILE, cat("was not built from ", beside, " as it is now"));
  open(with(R"("graph_sha256": "g")", cat(R"("graph_sha256": ")", sg::sha256("another graph", 13), R"(")")));
  std::remove(beside.c_str());
  std::ofstream(with("", ""), std::ios::binary) << std::string(content.size(), 'x');
  refused(path, SG_BAD_FILE, "its bytes are not those that its sidecar names (sha256)");
  std::remove((path + ".json").c_str());
  refused(path, SG_BAD_FILE, "toy-1.sm89.engine.json: no such file; keep the sidecar");
  std::remove(path.c_str());
  refused(path, SG_BAD_FILE, "toy-1.sm89.engine: no such file; give an engine");
}

TEST_F(Engines, VersionCompatibleEnginesTakeLaterVersionsAndHostCode) {
  const auto with = [&](const char* version) {
    return built("toy-1", "tensorrt", "", "11.1.0.106", cat(version, R"(", "version_compatible": true, "other": ")"));
  };
  open(with("11.0.3.1"));
  EXPECT_EQ(double_count("host code"), 1);
  refused(with("11.2.0.0"), SG_NO_ENGINE, "was built by tensorrt 11.2.0.0 and 11.1.0.106 is installed");
  refused(with("10.9.0.0"), SG_NO_ENGINE, "was built by tensorrt 10.9.0.0 and 11.1.0.106 is installed");
}

TEST_F(Engines, WhatTheEngineHoldsIsWhatTheSidecarSays) {
  const auto with = [&](const std::string& from, const std::string& to) { return built("toy-1", "tensorrt", "", from, to); };
  refused(with(R"("name": "guidance_scale")", R"("name": "scale")"), SG_BAD_FILE, "its sidecar says scale is float32 [], the engine does not");
  const Setting setting("DOUBLE_REFUSES", "deserializeCudaEngine");
  refused(with("", ""), SG_BAD_FILE, "tensorrt cannot load it (deserializeCudaEngine); build it again");
}

TEST_F(Engines, LibrariesAndDevicesThatAreNotThere) {
  const std::string path = built("toy-1");
  options_.tensorrt = "/";
  refused(path, SG_NO_ENGINE, "/: no libnvinfer in this folder; set SAMPLEGRAPH_TENSORRT to libnvinfer or its folder");
  options_.tensorrt = cat(SG_TEST_DOUBLES, "/libcudart.so");
  refused(path, SG_NO_ENGINE, "not TensorRT (it has no createInferRuntime_INTERNAL)");
  options_.tensorrt = SG_TEST_DOUBLES;
#if defined(__linux__)
  options_.cuda = "libm.so.6";
  refused(path, SG_NO_ENGINE, "libm.so.6: not the CUDA runtime (it has no cudaGetErrorString); set SAMPLEGRAPH_CUDA to");
#endif
  options_.cuda = SG_TEST_DOUBLES;
  for (const char* version : {"10.14.0.1", "12.0.0.0", "11.0.9.9"}) {
    const Setting setting("DOUBLE_VERSION", version);
    refused(path, SG_NO_ENGINE, cat("is TensorRT ", version, " and this libsamplegraph was built for 11.1 and newer of that"));
  }
  {
    const Setting setting("DOUBLE_DEVICES", "0");
    refused(path, SG_NO_ENGINE, "no NVIDIA GPU can be used here (no device); check its driver");
  }
  {
    const Setting setting("DOUBLE_FAIL", "cudaGetDeviceCount=35");
    refused(path, SG_NO_ENGINE, "(CUDA driver version is insufficient for CUDA runtime version)");
  }
  options_.device = 1;
  refused(path, SG_NO_ENGINE, "device=1 is not there; allowed is 0..0");
  {
    const Setting setting("DOUBLE_DEVICES", "2");
    open(path);
  }
  options_.device = -1;
  refused(path, SG_BAD_ARGUMENT, "device=-1 is not allowed");
  options_.device = 0;
  options_.threads = 2;
  refused(path, SG_BAD_ARGUMENT, "threads=2 is for .onnx files; leave it out");
  options_.threads = 0;
  options_.providers = {"cuda"};
  refused(path, SG_BAD_ARGUMENT, "providers='cuda' is for .onnx files");
  options_.providers = {"auto"};
  open(path);
}

}  // namespace
