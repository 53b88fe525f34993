#include "mirror.hpp"

namespace sg {

void Mirror::Side::grow(std::size_t bytes) {
  if (bytes <= size) return;
  free();
  data = lane->allocate(side, bytes);
  size = bytes;
}

void Mirror::Side::free() noexcept {
  if (data != nullptr) lane->release(side, data);
  data = nullptr;
  size = 0;
}

void Mirror::reserve(std::size_t bytes) {
  graph_.grow(bytes);
  bytes_ = bytes;
}

void* Mirror::host() {
  if (lane_->on_host()) return graph_.data;
  host_.grow(bytes_);
  return host_.data;
}

void Mirror::send() {
  if (!lane_->on_host()) lane_->copy(graph_.data, host(), bytes_);
}

const void* Mirror::fetch() {
  if (lane_->on_host()) return graph_.data;
  lane_->copy(host(), graph_.data, bytes_);
  lane_->wait();
  return host_.data;
}

}  // namespace sg
