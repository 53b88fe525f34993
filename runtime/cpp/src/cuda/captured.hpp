/** Work on a lane that was captured once, as a CUDA graph, and is launched as a whole. */
#pragma once

#include <functional>

#include "cuda/cuda_lane.hpp"

namespace sg::cuda {

class Captured {
 public:
  explicit Captured(CudaLane& lane) : lane_(lane) {}
  ~Captured() { drop(); }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;

  /**
   * Capture what `enqueue` begins; nothing is begun. Failure where it contains what no graph can, or what `enqueue`
   * throws; then nothing is held, and the lane is as before.
   */
  void capture(const std::function<void()>& enqueue);
  explicit operator bool() const { return held_ != nullptr; }
  /** Begin all of it, in order with the lane. Failure SG_ENGINE_FAILED. */
  void launch();
  void drop() noexcept;

 private:
  CudaLane& lane_;
  GraphExec held_ = nullptr;
};

}  // namespace sg::cuda
