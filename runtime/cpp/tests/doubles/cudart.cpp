/**
 * A double of the CUDA runtime: memory of the "GPU" has addresses that fault on the host, and streams do nothing until
 * they are waited for. So what is read too early, from the wrong side, or kept too short is seen.
 *
 * Environment: DOUBLE_PLAIN: no such addresses; DOUBLE_DEVICES (1), DOUBLE_CAPABILITY ("8.9"), DOUBLE_FAIL: functions that fail, "cudaStreamEndCapture=901".
 */
#include "cudart.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

struct CUgraph_st;

namespace {

/** What a stream has to do. */
struct Operation {
  void (*run)(void*) = nullptr;  // else a copy, or zeros where `from` is null
  void* data = nullptr;
  const void* from = nullptr;
  std::size_t bytes = 0;
};

}  // namespace

struct CUgraph_st {
  std::vector<Operation> operations;
};
struct CUgraphExec_st {
  std::vector<Operation> operations;
};
struct CUstream_st {
  int device = 0;
  std::vector<Operation> waiting;
  CUgraph_st* capturing = nullptr;
};
struct CUevent_st {
  CUstream_st* stream = nullptr;
};

namespace {

constexpr int kOk = 0, kInvalid = 1, kNoMemory = 2, kCapturing = 900;

/** Marks addresses of the "GPU"; with DOUBLE_PLAIN they are the host's, for ONNX Runtime to work on them. */
std::uintptr_t tag() {
  static const std::uintptr_t it = std::getenv("DOUBLE_PLAIN") != nullptr ? 0 : std::uintptr_t{1} << 62;
  return it;
}

struct Block {
  std::size_t bytes;
  int device;
};
struct World {
  std::mutex mutex;
  std::map<std::string, long, std::less<>> counts;
  std::map<std::uintptr_t, Block> device, pinned;  // by address, of the GPU untagged
  std::vector<CUstream_st*> streams;
};
World& world() {
  static World& it = *new World;
  return it;
}
thread_local int current = 0;
thread_local int last_error = kOk;

int number(const char* variable, int fallback) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::atoi(text) : fallback;
}

/** Counts the call; the error that DOUBLE_FAIL asks for, else 0. */
int called(const char* name) {
  double_count_one(name);
  const char* failing = std::getenv("DOUBLE_FAIL");
  const char* found = failing != nullptr ? std::strstr(failing, name) : nullptr;
  if (found == nullptr || found[std::strlen(name)] != '=') return kOk;
  return last_error = std::atoi(found + std::strlen(name) + 1);
}

const Block* block_of(const std::map<std::uintptr_t, Block>& blocks, std::uintptr_t address, std::size_t bytes) {
  auto found = blocks.upper_bound(address);
  if (found == blocks.begin()) return nullptr;
  --found;
  return address + bytes <= found->first + found->second.bytes ? &found->second : nullptr;
}

/** What the "GPU" reads and writes there: its own memory, or pinned memory; null elsewhere. */
void* reachable(const void* address, std::size_t bytes) {
  if (void* own = double_host_address(address, bytes)) return own;
  const std::lock_guard<std::mutex> lock(world().mutex);
  const auto plain = reinterpret_cast<std::uintptr_t>(address);
  return block_of(world().pinned, plain, bytes) != nullptr ? const_cast<void*>(address) : nullptr;
}

void perform(const Operation& each) {
  if (each.run != nullptr) return each.run(each.data);
  void* to = reachable(each.data, each.bytes);
  const void* from = each.from != nullptr ? reachable(each.from, each.bytes) : nullptr;
  if (to == nullptr || (each.from != nullptr && from == nullptr)) {
    std::fprintf(stderr, "a stream copies memory that is gone\n");
    std::abort();
  }
  if (from != nullptr) std::memcpy(to, from, each.bytes);
  else std::memset(to, 0, each.bytes);
}

void drain(CUstream_st* stream) {
  for (std::size_t i = 0; i < stream->waiting.size(); ++i) perform(stream->waiting[i]);
  stream->waiting.clear();
}

int add(CUstream_st* stream, const Operation& operation) {
  (stream->capturing != nullptr ? stream->capturing->operations : stream->waiting).push_back(operation);
  return kOk;
}

void check_idle() {
  for (const CUstream_st* stream : world().streams) {
    if (stream->waiting.empty()) continue;
    std::fprintf(stderr, "memory is freed while a stream has work\n");
    std::abort();
  }
}

}  // namespace

extern "C" {

long double_count(const char* name) {
  const std::lock_guard<std::mutex> lock(world().mutex);
  const auto found = world().counts.find(std::string_view(name));
  return found != world().counts.end() ? found->second : 0;
}
void double_count_one(const char* name) {
  const std::lock_guard<std::mutex> lock(world().mutex);
  const auto found = world().counts.find(std::string_view(name));
  if (found != world().counts.end()) ++found->second;
  else world().counts.emplace(name, 1);
}
void double_reset_counts(void) {
  const std::lock_guard<std::mutex> lock(world().mutex);
  for (auto& [name, count] : world().counts) count = 0;
}
void* double_host_address(const void* device, std::size_t bytes) {
  const auto address = reinterpret_cast<std::uintptr_t>(device);
  if ((address & tag()) != tag()) return nullptr;
  const std::lock_guard<std::mutex> lock(world().mutex);
  return block_of(world().device, address ^ tag(), bytes) != nullptr ? reinterpret_cast<void*>(address ^ tag()) : nullptr;
}
void double_enqueue(CUstream_st* stream, void (*run)(void*), void* data) { add(stream, {run, data, nullptr, 0}); }
bool double_is_capturing(CUstream_st* stream) { return stream->capturing != nullptr; }

const char* cudaGetErrorString(int error) {
  if (error == kNoMemory) return "out of memory";
  if (error == 35) return "CUDA driver version is insufficient for CUDA runtime version";
  return error == kOk ? "no error" : "the double fails";
}
int cudaGetLastError(void) {
  const int error = last_error;
  last_error = kOk;
  return error;
}
int cudaGetDeviceCount(int* count) {
  *count = number("DOUBLE_DEVICES", 1);
  return called("cudaGetDeviceCount");
}
int cudaGetDevice(int* device) {
  *device = current;
  return called("cudaGetDevice");
}
int cudaSetDevice(int device) {
  current = device;
  return called("cudaSetDevice");
}
int cudaDeviceGetAttribute(int* value, int attribute, int) {
  const char* capability = std::getenv("DOUBLE_CAPABILITY");
  const std::string text = capability != nullptr ? capability : "8.9";
  *value = std::atoi(attribute == 75 ? text.c_str() : text.c_str() + text.find('.') + 1);
  return called("cudaDeviceGetAttribute");
}

int cudaMalloc(void** out, std::size_t bytes) {
  if (const int error = called("cudaMalloc")) return error;
  const std::size_t rounded = (bytes + 255) / 256 * 256 + 256;
  void* memory = std::aligned_alloc(256, rounded);
  if (memory == nullptr) return last_error = kNoMemory;
  std::memset(memory, 0xFF, rounded);  // not a number
  const std::lock_guard<std::mutex> lock(world().mutex);
  world().device[reinterpret_cast<std::uintptr_t>(memory)] = {bytes, current};
  *out = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(memory) | tag());
  return kOk;
}
int cudaFree(void* memory) {
  const int error = called("cudaFree");
  const auto address = reinterpret_cast<std::uintptr_t>(memory) & ~tag();
  const std::lock_guard<std::mutex> lock(world().mutex);
  check_idle();
  if (world().device.erase(address) == 0) return kInvalid;
  std::free(reinterpret_cast<void*>(address));
  return error;
}
int cudaHostAlloc(void** out, std::size_t bytes, unsigned) {
  if (const int error = called("cudaHostAlloc")) return error;
  *out = std::aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
  if (*out == nullptr) return last_error = kNoMemory;
  const std::lock_guard<std::mutex> lock(world().mutex);
  world().pinned[reinterpret_cast<std::uintptr_t>(*out)] = {bytes, current};
  return kOk;
}
int cudaFreeHost(void* memory) {
  const int error = called("cudaFreeHost");
  const std::lock_guard<std::mutex> lock(world().mutex);
  check_idle();
  if (world().pinned.erase(reinterpret_cast<std::uintptr_t>(memory)) == 0) return kInvalid;
  std::free(memory);
  return error;
}
int cudaPointerGetAttributes(void* attributes, const void* memory) {
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const std::lock_guard<std::mutex> lock(world().mutex);
  const Block* pinned = block_of(world().pinned, address, 1);
  const Block* found = (address & tag()) == tag() ? block_of(world().device, address ^ tag(), 1) : nullptr;
  int out[2] = {found != nullptr ? 2 : pinned != nullptr ? 1 : 0, found != nullptr ? found->device : 0};
  std::memcpy(attributes, out, sizeof out);
  return kOk;
}

int cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, int kind, CUstream_st* stream) {
  if (const int error = called("cudaMemcpyAsync")) return error;
  if (kind != 4 || reachable(to, bytes) == nullptr || reachable(from, bytes) == nullptr) return last_error = kInvalid;
  return add(stream, {nullptr, to, from, bytes});
}
int cudaMemsetAsync(void* to, int value, std::size_t bytes, CUstream_st* stream) {
  if (const int error = called("cudaMemsetAsync")) return error;
  if (value != 0 || double_host_address(to, bytes) == nullptr) return last_error = kInvalid;
  return add(stream, {nullptr, to, nullptr, bytes});
}

int cudaStreamCreateWithFlags(CUstream_st** out, unsigned) {
  if (const int error = called("cudaStreamCreateWithFlags")) return error;
  *out = new CUstream_st;
  (*out)->device = current;
  (*out)->waiting.reserve(4096);
  const std::lock_guard<std::mutex> lock(world().mutex);
  world().streams.push_back(*out);
  return kOk;
}
int cudaStreamDestroy(CUstream_st* stream) {
  const int error = called("cudaStreamDestroy");
  const std::lock_guard<std::mutex> lock(world().mutex);
  auto& all = world().streams;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (all[i] == stream) all.erase(all.begin() + static_cast<std::ptrdiff_t>(i--));
  }
  delete stream;
  return error;
}
int cudaStreamSynchronize(CUstream_st* stream) {
  if (const int error = called("cudaStreamSynchronize")) {
    stream->waiting.clear();
    return error;
  }
  if (stream->capturing != nullptr) return last_error = kCapturing;
  drain(stream);
  return kOk;
}
int cudaEventCreateWithFlags(CUevent_st** out, unsigned) {
  *out = new CUevent_st;
  return called("cudaEventCreateWithFlags");
}
int cudaEventDestroy(CUevent_st* event) {
  delete event;
  return kOk;
}
int cudaEventRecord(CUevent_st* event, CUstream_st* stream) {
  event->stream = stream;
  return called("cudaEventRecord");
}
int cudaStreamWaitEvent(CUstream_st* stream, CUevent_st* event, unsigned) {
  if (const int error = called("cudaStreamWaitEvent")) return error;
  return add(stream, {[](void* other) { drain(static_cast<CUstream_st*>(other)); }, event->stream, nullptr, 0});
}

int cudaStreamBeginCapture(CUstream_st* stream, int) {
  if (const int error = called("cudaStreamBeginCapture")) return error;
  stream->capturing = new CUgraph_st;
  return kOk;
}
int cudaStreamEndCapture(CUstream_st* stream, CUgraph_st** graph) {
  *graph = stream->capturing;
  stream->capturing = nullptr;
  const int error = called("cudaStreamEndCapture");
  if (error == kOk) return *graph != nullptr ? kOk : last_error = kInvalid;
  delete *graph;
  *graph = nullptr;
  return error;
}
int cudaGraphInstantiateWithFlags(CUgraphExec_st** out, CUgraph_st* graph, unsigned long long) {
  if (const int error = called("cudaGraphInstantiateWithFlags")) return error;
  *out = new CUgraphExec_st{graph->operations};
  return kOk;
}
int cudaGraphLaunch(CUgraphExec_st* graph, CUstream_st* stream) {
  if (const int error = called("cudaGraphLaunch")) return error;
  for (const Operation& each : graph->operations) add(stream, each);
  return kOk;
}
int cudaGraphDestroy(CUgraph_st* graph) {
  delete graph;
  return called("cudaGraphDestroy");
}
int cudaGraphExecDestroy(CUgraphExec_st* graph) {
  delete graph;
  return called("cudaGraphExecDestroy");
}
}
