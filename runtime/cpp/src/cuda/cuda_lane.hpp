/** A lane on an NVIDIA GPU: one stream, memory of the GPU, and pinned memory of the host to fill it from. */
#pragma once

#include "cuda/runtime.hpp"
#include "lane.hpp"

namespace sg::cuda {

class CudaLane : public Lane {
 public:
  /** Failure SG_ENGINE_FAILED. `runtime` is never unloaded, `device` is there. */
  CudaLane(const Runtime& runtime, int device);
  ~CudaLane() override;
  CudaLane(const CudaLane&) = delete;
  CudaLane& operator=(const CudaLane&) = delete;

  bool on_host() const override { return false; }
  void* allocate(Side side, std::size_t bytes) override;
  void release(Side side, void* memory) noexcept override;
  void copy(void* to, const void* from, std::size_t bytes) override;
  void clear(void* to, std::size_t bytes) override;
  void wait() override;
  void after(void* stream) override;
  void check_reachable(const void* memory, const std::string& name) const override;

  const Runtime& runtime() const { return runtime_; }
  int device() const { return device_; }
  Stream stream() const { return stream_; }

 private:
  const Runtime& runtime_;
  int device_;
  Stream stream_ = nullptr;
  Event event_ = nullptr;
};

}  // namespace sg::cuda
