/** Kernels that TensorRT-RTX compiled for an engine on this machine, for the next start. */
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "caller_memory.hpp"
#include "notes.hpp"
#include "tensorrt/vendor.hpp"

namespace sg::trt {

/** Used by several threads at once. */
class KernelCache {
 public:
  /** Give `engine` what is kept in `path`; where it does not fit, `notes` say so. Before any context is made. */
  KernelCache(LoadedEngine& engine, std::string path, Notes& notes);

  /** After a run with these shapes of inputs: keep what the first one compiled. Allocates nothing after that. */
  void ran(const std::vector<Shape>& shapes);

 private:
  LoadedEngine& engine_;
  std::string path_;
  std::mutex mutex_;
  std::set<std::vector<Shape>> seen_;
  std::string kept_;  // digest
};

}  // namespace sg::trt
