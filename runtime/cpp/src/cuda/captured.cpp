#include "cuda/captured.hpp"

#include "error.hpp"

namespace sg::cuda {

void Captured::capture(const std::function<void()>& enqueue) {
  drop();
  const Runtime& runtime = lane_.runtime();
  Graph graph = nullptr;
  runtime.ok(runtime.StreamBeginCapture(lane_.stream(), kCaptureThreadLocal), "begin a capture");
  try {
    enqueue();
  } catch (...) {
    runtime.StreamEndCapture(lane_.stream(), &graph);
    if (graph != nullptr) runtime.GraphDestroy(graph);
    runtime.GetLastError();
    throw;
  }
  runtime.ok(runtime.StreamEndCapture(lane_.stream(), &graph), "capture it");
  const int error = runtime.GraphInstantiateWithFlags(&held_, graph, 0);
  runtime.GraphDestroy(graph);
  if (error != kSuccess) held_ = nullptr;
  runtime.ok(error, "make a graph of it");
}

void Captured::launch() { lane_.runtime().ok(lane_.runtime().GraphLaunch(held_, lane_.stream()), "launch a graph"); }

void Captured::drop() noexcept {
  if (held_ == nullptr) return;
  lane_.runtime().StreamSynchronize(lane_.stream());  // it may still be running
  lane_.runtime().GraphExecDestroy(held_);
  held_ = nullptr;
}

}  // namespace sg::cuda
