/** Memory that the host and the graphs of a lane share: one where theirs is the same, else one on each side. */
#pragma once

#include <cstddef>
#include <memory>

#include "lane.hpp"

namespace sg {

/** Grows and is reused; what it held is then lost. The lane outlives it. The host's side is made when it is asked for. */
class Mirror {
 public:
  explicit Mirror(Lane& lane) : lane_(&lane) {}

  void reserve(std::size_t bytes);
  std::size_t bytes() const { return bytes_; }
  void* graph() const { return graph_.data; }
  void* host();

  /** Let the graphs see what the host wrote. */
  void send();
  /** What the graphs see, on the host: waits for it. */
  const void* fetch();

 private:
  struct Side {
    Side(Lane* on, Lane::Side which) : lane(on), side(which) {}
    Side(Side&& other) noexcept : lane(other.lane), side(other.side), data(other.data), size(other.size) {
      other.data = nullptr;
      other.size = 0;
    }
    Side& operator=(Side&&) = delete;
    ~Side() { free(); }
    void grow(std::size_t bytes);
    void free() noexcept;
    Lane* lane;
    Lane::Side side;
    void* data = nullptr;
    std::size_t size = 0;
  };

  Lane* lane_;
  std::size_t bytes_ = 0;
  Side graph_{lane_, Lane::Side::graph}, host_{lane_, Lane::Side::host};
};

}  // namespace sg
