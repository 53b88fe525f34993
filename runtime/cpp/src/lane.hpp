/** Where the calls of one binding run, one after another, and the memory that they run on. */
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace sg {

/** Used by one thread at a time. */
class Lane {
 public:
  enum class Side { host, graph };

  virtual ~Lane() = default;
  /** Whether the graphs' memory is the host's: then nothing has to be copied to be seen by the other. */
  virtual bool on_host() const = 0;
  /** Memory of one side. Throws std::bad_alloc, or Failure SG_NO_MEMORY. */
  virtual void* allocate(Side side, std::size_t bytes) = 0;
  virtual void release(Side side, void* memory) noexcept = 0;
  /** In order with the calls: both memories stay as they are until `wait`. Failure SG_ENGINE_FAILED. */
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
  /** Zeros in a graph's memory. */
  virtual void clear(void* to, std::size_t bytes) = 0;
  /** Until all copies and calls are done. Failure SG_ENGINE_FAILED where one of them failed. */
  virtual void wait() = 0;
  /** What follows comes after the earlier work of a stream of the caller's, if that is not null. */
  virtual void after(void* stream) = 0;
  /** Failure SG_BAD_ARGUMENT where `memory`, the caller's `name`, is not memory of the graphs. */
  virtual void check_reachable(const void* memory, const std::string& name) const = 0;
};

/** The lane of graphs that run in host memory, at once. */
std::shared_ptr<Lane> host_lane();

}  // namespace sg
