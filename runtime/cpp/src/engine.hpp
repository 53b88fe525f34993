/** The engine: a compiled sampler as a function from a seed and conditions to samples. */
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend.hpp"
#include "buffer.hpp"
#include "manifest.hpp"
#include "request.hpp"

namespace sg {

/** A loaded sampler. `sample`, `count` and `warm_up` may be called from several threads at once. */
class Engine {
 public:
  /** `manifest` outlives the engine. */
  Engine(const Manifest& manifest, std::unique_ptr<Backend> backend);

  const Manifest& manifest() const { return manifest_; }
  Backend& backend() const { return *backend_; }
  /** Keeps the graph alive for what may outlive the engine. */
  std::shared_ptr<Backend> shared_backend() const { return backend_; }

  /** M; checks all that `sample` checks, but the output. */
  std::int64_t count(const sg_request& request) const;
  /** Draw M samples, into host memory or the graphs'. Failure: see sg_sample. Allocates nothing where a context of that size is free. */
  void sample(const sg_request& request, void* output, std::size_t bytes, bool to_device = false);
  /** Make `contexts` contexts ready for such a request, and run each once. */
  void warm_up(const sg_request& request, int contexts);

 private:
  /** What one running call needs for itself. */
  struct Context {
    Context(const Manifest& manifest, std::unique_ptr<Binding> bound) : call(manifest), binding(std::move(bound)) {}
    Call call;
    std::unique_ptr<Binding> binding;
    Buffer noise;                     // (1 + K, M, ...)
    std::vector<std::int64_t> shown;  // axes of x0 in the current batch
  };
  class Lease;

  std::unique_ptr<Context> take();
  void give_back(std::unique_ptr<Context> context) noexcept;
  void prepare(const sg_request& request, Context& context) const;
  void run(const sg_request& request, Context& context, void* output, bool to_device);
  void run_batch(const sg_request& request, Context& context, std::int64_t k, std::int64_t batches) const;

  const Manifest& manifest_;
  std::shared_ptr<Backend> backend_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Context>> free_;
  std::size_t contexts_ = 0;
};

}  // namespace sg
