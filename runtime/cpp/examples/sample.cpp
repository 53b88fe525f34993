// Draw digits and print the mean of each: sample_cpp digits-ddim-25.onnx
#include <cstdio>
#include <numeric>
#include <samplegraph/samplegraph.hpp>

int main(int count, char** values) try {
  if (count != 2) return std::fprintf(stderr, "usage: %s GRAPH.onnx\n", values[0]), 2;
  samplegraph::Engine engine(values[1]);
  engine.warm_up();
  const auto digits = engine.sample(samplegraph::Request().seed(0).set("class_labels", {3, 1, 4}));
  const std::size_t size = digits.size() / 3;
  for (std::size_t i = 0; i < 3; ++i) {
    const float* pixels = digits.data<float>() + i * size;
    std::printf("%.9g\n", std::accumulate(pixels, pixels + size, 0.0) / static_cast<double>(size));
  }
} catch (const samplegraph::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return 2;
}
