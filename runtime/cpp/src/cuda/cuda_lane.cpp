#include "cuda/cuda_lane.hpp"

#include "error.hpp"
#include "text.hpp"

namespace sg::cuda {

CudaLane::CudaLane(const Runtime& runtime, int device) : runtime_(runtime), device_(device) {
  const Current current(runtime_, device_);
  runtime_.ok(runtime_.StreamCreateWithFlags(&stream_, kNonBlocking), "make a stream");
  const int error = runtime_.EventCreateWithFlags(&event_, kNoTiming);
  if (error != kSuccess) runtime_.StreamDestroy(stream_);
  runtime_.ok(error, "make an event");
}

CudaLane::~CudaLane() {
  runtime_.EventDestroy(event_);
  runtime_.StreamDestroy(stream_);
}

void* CudaLane::allocate(Side side, std::size_t bytes) {
  const Current current(runtime_, device_);
  void* out = nullptr;
  if (side == Side::graph) {
    runtime_.ok(runtime_.Malloc(&out, bytes), cat("reserve ", std::to_string(bytes), " bytes").c_str());
  } else {
    runtime_.ok(runtime_.HostAlloc(&out, bytes, 0), cat("lock ", std::to_string(bytes), " bytes").c_str());
  }
  return out;
}

void CudaLane::release(Side side, void* memory) noexcept {
  runtime_.StreamSynchronize(stream_);  // copies from and to it may still be going on
  if (side == Side::graph) runtime_.Free(memory);
  else runtime_.FreeHost(memory);
}

void CudaLane::copy(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) runtime_.ok(runtime_.MemcpyAsync(to, from, bytes, kCopyEither, stream_), "copy");
}

void CudaLane::clear(void* to, std::size_t bytes) {
  if (bytes > 0) runtime_.ok(runtime_.MemsetAsync(to, 0, bytes, stream_), "clear memory");
}

void CudaLane::wait() { runtime_.ok(runtime_.StreamSynchronize(stream_), "finish its work"); }

void CudaLane::after(void* stream) {
  if (stream == nullptr) return;
  runtime_.ok(runtime_.EventRecord(event_, static_cast<Stream>(stream)), "mark a stream");
  runtime_.ok(runtime_.StreamWaitEvent(stream_, event_, 0), "wait for a stream");
}

void CudaLane::check_reachable(const void* memory, const std::string& name) const {
  PointerAttributes found;
  const int error = runtime_.PointerGetAttributes(&found, memory);
  if (error != kSuccess) runtime_.GetLastError();
  if (error != kSuccess || (found.type != kDeviceMemory && found.type != kManagedMemory)) {
    throw Failure(SG_BAD_ARGUMENT, cat(name, " does not lie in a GPU's memory; give its address there, or host memory as such"));
  }
  if (found.type == kManagedMemory || found.device == device_) return;
  throw Failure(SG_BAD_ARGUMENT, cat(name, " lies on GPU ", found.device, " and the engine on GPU ", device_, "; move it there"));
}

}  // namespace sg::cuda
