#include "lane.hpp"

#include <cstring>

#include "buffer.hpp"
#include "error.hpp"
#include "text.hpp"

namespace sg {
namespace {

class HostLane : public Lane {
 public:
  bool on_host() const override { return true; }
  void* allocate(Side, std::size_t bytes) override { return allocate_aligned(bytes); }
  void release(Side, void* memory) noexcept override { std::free(memory); }
  void copy(void* to, const void* from, std::size_t bytes) override { std::memcpy(to, from, bytes); }
  void clear(void* to, std::size_t bytes) override { std::memset(to, 0, bytes); }
  void wait() override {}
  void after(void*) override {}
  void check_reachable(const void*, const std::string& name) const override {
    throw Failure(SG_BAD_ARGUMENT, cat(name, " lies on a GPU and this engine runs on the host; give host memory"));
  }
};

}  // namespace

std::shared_ptr<Lane> host_lane() { return std::make_shared<HostLane>(); }

}  // namespace sg
