#include "tensorrt/kernel_cache.hpp"

#include <utility>

#include "kept_file.hpp"
#include "sha256.hpp"
#include "text.hpp"

namespace sg::trt {

KernelCache::KernelCache(LoadedEngine& engine, std::string path, Notes& notes) : engine_(engine), path_(std::move(path)) {
  const std::string known = read_kept(path_);
  if (engine_.use_kernels(known)) {
    kept_ = sha256(known.data(), known.size());
  } else if (!known.empty()) {
    notes.add(cat(path_, ": is of another GPU, driver or version, so its kernels are compiled again"));
  }
}

void KernelCache::ran(const std::vector<Shape>& shapes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (seen_.count(shapes) != 0) return;
  seen_.insert(shapes);
  const std::string now = engine_.kernels();
  if (now.empty()) return;
  std::string digest = sha256(now.data(), now.size());
  if (digest == kept_) return;
  write_kept(path_, now);
  kept_ = std::move(digest);
}

}  // namespace sg::trt
