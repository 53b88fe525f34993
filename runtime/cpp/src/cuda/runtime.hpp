/**
 * NVIDIA's CUDA runtime, found and loaded at run time: any libcudart from 11.4 on.
 *
 * Its C interface is declared here as far as it is used, so that the library builds without the CUDA toolkit and runs
 * without a GPU. tests/cuda_declarations.cpp compares this with NVIDIA's header where that is at hand.
 */
#pragma once

#include <cstddef>
#include <string>

struct CUstream_st;
struct CUgraph_st;
struct CUgraphExec_st;
struct CUevent_st;

namespace sg::cuda {

using Stream = CUstream_st*;
using Graph = CUgraph_st*;
using GraphExec = CUgraphExec_st*;
using Event = CUevent_st*;

/** Numbers of the CUDA runtime that are used; an error is a number, too. */
enum : int {
  kSuccess = 0, kOutOfMemory = 2,
  kCopyEither = 4,                // cudaMemcpyDefault: from and to wherever the addresses are
  kCapabilityMajor = 75, kCapabilityMinor = 76,
  kCaptureThreadLocal = 1,
  kDeviceMemory = 2, kManagedMemory = 3
};
enum : unsigned { kNonBlocking = 1, kNoTiming = 2 };

/** The first fields of cudaPointerAttributes; later versions have more behind them. */
struct PointerAttributes {
  int type = 0, device = 0;
  void *device_pointer = nullptr, *host_pointer = nullptr;
  long more[32] = {};
};

// clang-format off
#define SG_CUDA_FUNCTIONS(F)                                      \
  F(GetErrorString, const char*, int)                             \
  F(GetLastError, int)                                            \
  F(GetDeviceCount, int, int*)                                    \
  F(GetDevice, int, int*)                                         \
  F(SetDevice, int, int)                                          \
  F(DeviceGetAttribute, int, int*, int, int)                      \
  F(Malloc, int, void**, std::size_t)                             \
  F(Free, int, void*)                                             \
  F(HostAlloc, int, void**, std::size_t, unsigned)                \
  F(FreeHost, int, void*)                                         \
  F(PointerGetAttributes, int, PointerAttributes*, const void*)   \
  F(MemcpyAsync, int, void*, const void*, std::size_t, int, Stream) \
  F(MemsetAsync, int, void*, int, std::size_t, Stream)            \
  F(StreamCreateWithFlags, int, Stream*, unsigned)                \
  F(StreamDestroy, int, Stream)                                   \
  F(StreamSynchronize, int, Stream)                               \
  F(StreamWaitEvent, int, Stream, Event, unsigned)                \
  F(EventCreateWithFlags, int, Event*, unsigned)                  \
  F(EventRecord, int, Event, Stream)                              \
  F(EventDestroy, int, Event)                                     \
  F(StreamBeginCapture, int, Stream, int)                         \
  F(StreamEndCapture, int, Stream, Graph*)                        \
  F(GraphInstantiateWithFlags, int, GraphExec*, Graph, unsigned long long) \
  F(GraphLaunch, int, GraphExec, Stream)                          \
  F(GraphDestroy, int, Graph)                                     \
  F(GraphExecDestroy, int, GraphExec)
// clang-format on

/** The loaded library: cudaMalloc is `Malloc`, and so on. It stays loaded until the process ends. */
struct Runtime {
  std::string path;
#define SG_CUDA_MEMBER(name, result, ...) result (*name)(__VA_ARGS__) = nullptr;
  SG_CUDA_FUNCTIONS(SG_CUDA_MEMBER)
#undef SG_CUDA_MEMBER

  /** Failure where `error` is one: SG_NO_MEMORY if that is what lacks, else SG_ENGINE_FAILED. "the GPU cannot <what>". */
  void ok(int error, const char* what) const;
};

/**
 * Open libcudart: `path` (a library, or its folder) if it is not empty, else what $SAMPLEGRAPH_CUDA names, else what
 * the loader finds. Failure SG_NO_ENGINE.
 */
const Runtime& open_runtime(const std::string& path);

/** Failure SG_NO_ENGINE: there is no driver, or no GPU of that number. */
void check_device(const Runtime& runtime, int device);

/** "sm89" of a device that is there. */
std::string capability(const Runtime& runtime, int device);

/** A device is the thread's current one as long as this lives, and then the one that was. */
class Current {
 public:
  Current(const Runtime& runtime, int device);
  ~Current();
  Current(const Current&) = delete;
  Current& operator=(const Current&) = delete;

 private:
  const Runtime& runtime_;
  int before_ = 0, device_;
};

}  // namespace sg::cuda
