/** Real chunks and evaluations in ONNX Runtime itself. Needs what test_onnxruntime needs; is skipped elsewhere. */
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "samplegraph/samplegraph.hpp"
#include "watched.hpp"

namespace {

using samplegraph::Engine;
using samplegraph::Request;
using sg::test::watched;

class Parts : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("SAMPLEGRAPH_TEST_GRAPHS");
    if (folder == nullptr || std::getenv("SAMPLEGRAPH_ONNXRUNTIME") == nullptr) {
      GTEST_SKIP() << "SAMPLEGRAPH_TEST_GRAPHS and SAMPLEGRAPH_ONNXRUNTIME are not set";
    }
    options_.threads = 1;
    path_ = std::string(folder) + "/" + GetParam();
  }
  std::string path_;
  samplegraph::Options options_;
};

TEST_P(Parts, ARunShowsItsPositionsAndItsLastX0IsTheSample) {
  Engine engine(path_, options_);
  const auto seen = watched(engine, 3);
  const std::int64_t parts = seen.places[1] / 2;  // two batches of two
  ASSERT_EQ(parts, engine.info().layout == std::string("step") ? 5 : 2);
  ASSERT_EQ(seen.places.size(), static_cast<std::size_t>(10 * parts));
  for (std::int64_t k = 0; k < 2 * parts; ++k) {
    const std::int64_t* at = &seen.places[static_cast<std::size_t>(5 * k)];
    EXPECT_EQ(at[0], k + 1);
    EXPECT_EQ(at[3], k < parts ? 0 : 2);
    EXPECT_EQ(at[4], k < parts ? 2 : 1);
  }
  EXPECT_EQ(seen.places[static_cast<std::size_t>(5 * parts) - 3], 4);  // the last step
  const std::size_t row = 48;
  for (std::size_t i = 0; i < row; ++i) EXPECT_NEAR(seen.x0[seen.x0.size() - row + i], seen.samples[2 * row + i], 1e-5);
}

TEST_P(Parts, BothLayoutsGiveTheSameSamples) {
  const std::string folder = path_.substr(0, path_.rfind('/'));
  Engine chunks(folder + "/part-chunked.chunk-01.onnx", options_), steps(folder + "/part-step.onnx", options_);
  const auto one = watched(chunks, 2).samples, other = watched(steps, 2).samples;
  for (std::size_t i = 0; i < one.size(); ++i) EXPECT_NEAR(one[i], other[i], 2e-5);
}

TEST_P(Parts, ThreadsShareOneEngine) {
  Engine engine(path_, options_);
  const auto wanted = watched(engine, 3).samples;
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) wrong += watched(engine, 3).samples != wanted;
    });
  }
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(wrong, 0);
}

TEST_P(Parts, AStopEndsARunBetweenParts) {
  Engine engine(path_, options_);
  samplegraph::Stop stop(engine);
  Request request;
  int told = 0;
  request.seed(0).stop(stop).watch([&](const sg_position&) {
    if (++told == 1) stop.request();
    return true;
  });
  EXPECT_THROW(engine.sample(request), samplegraph::Error);
  EXPECT_EQ(told, 1);
  stop.reset();
  request.watch(nullptr);
  const auto again = engine.sample(request);
  Request plain;
  plain.seed(0);
  const auto wanted = engine.sample(plain);
  EXPECT_EQ(again.bytes(), wanted.bytes());
}

INSTANTIATE_TEST_SUITE_P(Layouts, Parts, testing::Values("part-chunked.chunk-00.onnx", "part-step.onnx"),
                         [](const auto& each) { return each.index == 0 ? "Chunks" : "Steps"; });

}  // namespace
