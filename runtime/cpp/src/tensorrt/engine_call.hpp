/** An engine's inputs and outputs bound to memory of the GPU, once for many runs. */
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cuda/cuda_lane.hpp"
#include "graph.hpp"
#include "manifest.hpp"
#include "notes.hpp"
#include "tensorrt/kernel_cache.hpp"
#include "tensorrt/vendor.hpp"

namespace sg::trt {

/** What all calls of one engine share. */
struct EngineParts {
  std::string file, builder;
  std::vector<Tensor> inputs, outputs;
  std::unique_ptr<LoadedEngine> engine;
  bool cuda_graph = true;        // wanted
  bool captures_itself = false;  // the library does it
  Notes notes;
  std::unique_ptr<KernelCache> kernels;  // null: none are kept
};

/** Failure SG_NO_MEMORY where the GPU has no room for another context. All that is given outlives the call. */
std::unique_ptr<GraphCall> make_call(EngineParts& parts, cuda::CudaLane& lane);

}  // namespace sg::trt
