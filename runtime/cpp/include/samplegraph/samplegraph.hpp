/**
 * samplegraph for C++17: objects and exceptions over the C interface, header only.
 *
 *     samplegraph::Engine engine("digits-ddim-25.onnx");
 *     auto image = engine.sample(samplegraph::Request().seed(0).set("class_labels", {3, 1, 4}));
 *     const float* pixels = image.data<float>();                        // (3, 1, 16, 16)
 *
 * Every function throws samplegraph::Error, whose what() is one line and whose code() is the sg_status.
 * Threads: as the C interface says; an Engine may be used by several threads at once, a Request by one.
 */
#ifndef SAMPLEGRAPH_HPP
#define SAMPLEGRAPH_HPP

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "samplegraph/samplegraph.h"

namespace samplegraph {

class Error : public std::runtime_error {
 public:
  explicit Error(sg_status code) : std::runtime_error(sg_last_error()), code_(code) {}
  Error(sg_status code, const std::string& text) : std::runtime_error(text), code_(code) {}
  sg_status code() const noexcept { return code_; }

 private:
  sg_status code_;
};

inline void check(sg_status status) {
  if (status != SG_OK) throw Error(status);
}

/** The sg_dtype of a C++ type. */
template <class T>
constexpr sg_dtype dtype_of() {
  if constexpr (std::is_same_v<T, bool>) return SG_BOOL;
  else if constexpr (std::is_same_v<T, float>) return SG_FLOAT32;
  else if constexpr (std::is_same_v<T, double>) return SG_FLOAT64;
  else {
    static_assert(std::is_integral_v<T>, "a type of which samplegraph has no tensors");
    constexpr bool s = std::is_signed_v<T>;
    return sizeof(T) == 8 ? (s ? SG_INT64 : SG_UINT64) : sizeof(T) == 4 ? (s ? SG_INT32 : SG_UINT32)
         : sizeof(T) == 2 ? (s ? SG_INT16 : SG_UINT16) : (s ? SG_INT8 : SG_UINT8);
  }
}

/** A tensor that owns its memory: C order. */
class Array {
 public:
  Array(sg_dtype dtype, std::vector<std::int64_t> shape)
      : dtype_(dtype), shape_(std::move(shape)), bytes_(size() * sg_dtype_size(dtype)) {}
  sg_dtype dtype() const { return dtype_; }
  const std::vector<std::int64_t>& shape() const { return shape_; }
  /** The number of elements. */
  std::size_t size() const {
    std::size_t count = 1;
    for (const std::int64_t axis : shape_) count *= static_cast<std::size_t>(axis);
    return count;
  }
  std::vector<char>& bytes() { return bytes_; }
  const std::vector<char>& bytes() const { return bytes_; }
  /** The elements; Error where they are of another type. float16 is read as std::uint16_t through bytes(). */
  template <class T>
  const T* data() const {
    if (dtype_of<T>() != dtype_) {
      throw Error(SG_BAD_ARGUMENT, std::string("this array is ") + sg_dtype_name(dtype_) + ", not " + sg_dtype_name(dtype_of<T>()));
    }
    return reinterpret_cast<const T*>(bytes_.data());
  }

 private:
  sg_dtype dtype_;
  std::vector<std::int64_t> shape_;
  std::vector<char> bytes_;
};

class Engine;

/** A switch that stops the calls it is given to, from any thread. */
class Stop {
 public:
  explicit Stop(Engine& engine);
  void request() { sg_stop_request(stop_.get()); }
  void reset() { sg_stop_reset(stop_.get()); }
  sg_stop* get() const { return stop_.get(); }

 private:
  struct Destroy {
    void operator()(sg_stop* stop) const { sg_stop_destroy(stop); }
  };
  std::unique_ptr<sg_stop, Destroy> stop_;
};

/** What to draw. Every function returns the request itself, so that calls can be chained; reuse it freely. */
class Request {
 public:
  /** One seed: the noise of all samples is one draw. */
  Request& seed(std::uint64_t seed) {
    fields_.seed_kind = SG_SEED_ONE;
    fields_.seed = seed;
    return *this;
  }
  /** One seed per sample. */
  Request& seeds(std::vector<std::uint64_t> seeds) {
    fields_.seed_kind = SG_SEED_EACH;
    seeds_ = std::move(seeds);
    return *this;
  }
  Request& samples(std::int64_t samples) {
    fields_.samples = samples;
    return *this;
  }
  Request& rng(sg_rng rng) {
    fields_.rng = rng;
    return *this;
  }
  Request& stop(const Stop& stop) {
    fields_.stop = stop.get();
    return *this;
  }
  /** Called as progress(done, total) after each call, chunk or step; what it throws, Engine::sample throws. */
  Request& progress(std::function<void(std::int64_t, std::int64_t)> progress) {
    progress_ = std::move(progress);
    return *this;
  }
  /** Called with each position (see sg_position), x0 included; false cancels, what it throws Engine::sample throws. */
  Request& watch(std::function<bool(const sg_position&)> watch) {
    watch_ = std::move(watch);
    return *this;
  }
  /** Of layout step: one of Engine::step_counts. 0: the first. */
  Request& steps(std::int64_t steps) {
    fields_.steps = steps;
    return *this;
  }
  /** One number. */
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  Request& set(const std::string& name, T value) {
    return copy(name, &value, {}, 1);
  }
  /** One value per sample. */
  template <class T>
  Request& set(const std::string& name, std::initializer_list<T> values) {
    return copy(name, values.begin(), {static_cast<std::int64_t>(values.size())}, values.size());
  }
  template <class T>
  Request& set(const std::string& name, const std::vector<T>& values) {
    return copy(name, values.data(), {static_cast<std::int64_t>(values.size())}, values.size());
  }
  /** An array of any shape, copied. */
  template <class T>
  Request& set(const std::string& name, const T* values, std::vector<std::int64_t> shape) {
    std::size_t count = 1;
    for (const std::int64_t axis : shape) count *= static_cast<std::size_t>(axis < 0 ? 0 : axis);
    return copy(name, values, std::move(shape), count);
  }
  /** An array that stays the caller's and is read in each call: nothing is copied. */
  Request& view(const std::string& name, const void* values, std::vector<std::int64_t> shape, sg_dtype dtype) {
    return refer(name, values, std::move(shape), dtype, false);
  }
  /** The same in memory of the GPU that runs the engine, of the input's own dtype: nothing passes through the host. */
  Request& view_device(const std::string& name, const void* values, std::vector<std::int64_t> shape, sg_dtype dtype) {
    return refer(name, values, std::move(shape), dtype, true);
  }
  /**
   * A DLPack tensor, as a DLTensor of any version of dlpack.h, on the host or on the GPU. It stays the caller's.
   * Error where it is elsewhere, not packed in C order, or of a type that no input has.
   */
  template <class Tensor>
  Request& view_dlpack(const std::string& name, const Tensor& tensor) {
    const int device = static_cast<int>(tensor.device.device_type);  // 1, 3: host; 2, 13: CUDA
    if (device != 1 && device != 3 && device != 2 && device != 13) {
      throw Error(SG_BAD_ARGUMENT, name + " lies on a device of DLPack's type " + std::to_string(device) + "; give CUDA or host memory");
    }
    std::vector<std::int64_t> shape(tensor.shape, tensor.shape + tensor.ndim);
    std::int64_t packed = 1;
    for (std::size_t axis = shape.size(); axis-- > 0; packed *= shape[axis]) {
      if (tensor.strides == nullptr || shape[axis] == 1 || tensor.strides[axis] == packed) continue;
      throw Error(SG_BAD_ARGUMENT, name + " is not packed; give it in row-major order, without gaps");
    }
    const char* values = static_cast<const char*>(tensor.data) + tensor.byte_offset;
    return refer(name, values, std::move(shape), dlpack_dtype(name, tensor.dtype), device == 2 || device == 13);
  }
  /** A cudaStream_t whose earlier work makes the arrays on the GPU; null: they are there. */
  Request& device_stream(void* stream) {
    fields_.device_stream = stream;
    return *this;
  }

 private:
  friend class Engine;
  struct Input {
    std::string name;
    std::vector<std::int64_t> shape;
    std::vector<char> values;
    const void* viewed = nullptr;
    sg_dtype dtype = SG_FLOAT32;
    bool on_device = false;
  };

  template <class Type>
  static sg_dtype dlpack_dtype(const std::string& name, const Type& type) {
    const int code = static_cast<int>(type.code), bits = static_cast<int>(type.bits);
    if (type.lanes == 1) {
      if (code == 6 && bits == 8) return SG_BOOL;
      if (code == 4 && bits == 16) return SG_BFLOAT16;
      if (code == 2 && (bits == 16 || bits == 32 || bits == 64)) return bits == 16 ? SG_FLOAT16 : bits == 32 ? SG_FLOAT32 : SG_FLOAT64;
      for (int size = 0; size < 4 && code < 2; ++size) {  // int64, int32...; uint64...
        if (bits == 64 >> size) return static_cast<sg_dtype>((code == 0 ? SG_INT64 : SG_UINT64) + size);
      }
    }
    throw Error(SG_BAD_ARGUMENT, name + " has a DLPack type that no input has; give the input's own");
  }

  Request& refer(const std::string& name, const void* values, std::vector<std::int64_t> shape, sg_dtype dtype, bool on_device) {
    Input& input = named(name);
    input.shape = std::move(shape);
    input.values.clear();
    input.viewed = values;
    input.dtype = dtype;
    input.on_device = on_device;
    return *this;
  }

  Input& named(const std::string& name) {
    for (Input& each : inputs_) {
      if (each.name == name) return each;
    }
    inputs_.push_back({name, {}, {}, nullptr, SG_FLOAT32, false});
    return inputs_.back();
  }

  template <class T>
  Request& copy(const std::string& name, const T* values, std::vector<std::int64_t> shape, std::size_t count) {
    Input& input = named(name);
    input.shape = std::move(shape);
    input.values.resize(count * sizeof(T));
    if (count > 0) std::memcpy(input.values.data(), values, count * sizeof(T));
    input.viewed = nullptr;
    input.on_device = false;
    input.dtype = dtype_of<T>();
    return *this;
  }

  static int report(void* self, std::int64_t done, std::int64_t total) {
    Request& request = *static_cast<Request*>(self);
    try {
      request.progress_(done, total);
      return 0;
    } catch (...) {
      request.thrown_ = std::current_exception();
      return 1;
    }
  }
  static int show(void* self, const sg_position* position) {
    Request& request = *static_cast<Request*>(self);
    try {
      return request.watch_(*position) ? 0 : 1;
    } catch (...) {
      request.thrown_ = std::current_exception();
      return 1;
    }
  }

  /** The C structure; refers to this object. */
  const sg_request* fields() {
    arrays_.clear();
    for (const bool on_device : {false, true}) {
      for (const Input& each : inputs_) {
        if (each.on_device != on_device) continue;
        const void* data = each.viewed != nullptr ? each.viewed : each.values.data();
        arrays_.push_back({each.name.c_str(), data, each.shape.data(), each.shape.size(), each.dtype, 0});
      }
      if (!on_device) fields_.input_count = arrays_.size();
    }
    fields_.inputs = arrays_.data();
    fields_.device_inputs = arrays_.data() + fields_.input_count;
    fields_.device_input_count = arrays_.size() - fields_.input_count;
    fields_.seeds = seeds_.data();
    fields_.seed_count = seeds_.size();
    fields_.progress = progress_ ? &report : nullptr;
    fields_.progress_data = this;
    fields_.watch = watch_ ? &show : nullptr;
    fields_.watch_data = this;
    thrown_ = nullptr;
    return &fields_;
  }

  sg_request fields_ = SG_REQUEST_INIT;
  std::vector<std::uint64_t> seeds_;
  std::deque<Input> inputs_;
  std::vector<sg_array> arrays_;
  std::function<void(std::int64_t, std::int64_t)> progress_;
  std::function<bool(const sg_position&)> watch_;
  std::exception_ptr thrown_;
};

/** An execution provider with its options: Provider{"cuda", {{"device_id", "1"}}}, or just its name. */
struct Provider {
  Provider(const char* provider) : name(provider) {}
  Provider(std::string provider, std::vector<std::pair<std::string, std::string>> settings = {})
      : name(std::move(provider)), options(std::move(settings)) {}
  std::string name;
  std::vector<std::pair<std::string, std::string>> options;
};

/** How an engine is loaded; see sg_options. */
struct Options {
  std::string onnxruntime;
  std::vector<Provider> providers;
  int threads = 0;
  int inter_op_threads = 0;
  std::string affinity;
  bool spinning = true;
  std::string tensorrt, cuda;  // of engine files
  int device = 0;
  bool tf32 = false, cuda_graph = true;
  std::optional<std::string> kernel_cache;  // none: the user's cache folder; "": nowhere
};

/** A compiled sampler, loaded. */
class Engine {
 public:
  explicit Engine(const std::string& path, const Options& options = {}) {
    std::deque<std::vector<const char*>> pointers;
    std::vector<sg_provider> providers;
    for (const Provider& each : options.providers) {
      std::vector<const char*>&keys = pointers.emplace_back(), &values = pointers.emplace_back();
      for (const auto& [key, value] : each.options) {
        keys.push_back(key.c_str());
        values.push_back(value.c_str());
      }
      providers.push_back({each.name.c_str(), keys.data(), values.data(), keys.size()});
    }
    sg_options fields = SG_OPTIONS_INIT;
    fields.onnxruntime = options.onnxruntime.empty() ? nullptr : options.onnxruntime.c_str();
    fields.providers = providers.data();
    fields.provider_count = providers.size();
    fields.threads = options.threads;
    fields.inter_op_threads = options.inter_op_threads;
    fields.affinity = options.affinity.empty() ? nullptr : options.affinity.c_str();
    fields.no_spinning = options.spinning ? 0 : 1;
    fields.tensorrt = options.tensorrt.empty() ? nullptr : options.tensorrt.c_str();
    fields.cuda = options.cuda.empty() ? nullptr : options.cuda.c_str();
    fields.device = options.device;
    fields.tf32 = options.tf32 ? 1 : 0;
    fields.no_cuda_graph = options.cuda_graph ? 0 : 1;
    fields.kernel_cache = options.kernel_cache ? options.kernel_cache->c_str() : nullptr;
    open(path, fields);
  }
  Engine(const std::string& path, const sg_options& options) { open(path, options); }

  /** Draw: an array (M, ...). */
  Array sample(Request& request) {
    std::int64_t samples = 0;
    finish(request, sg_count(get(), request.fields(), &samples));
    const sg_tensor_info info = output();
    std::vector<std::int64_t> shape(info.shape, info.shape + info.rank);
    shape[0] = samples;
    Array out = room(static_cast<sg_dtype>(info.dtype), std::move(shape));
    sample_into(request, out.bytes().data(), out.bytes().size());
    return out;
  }
  Array sample(Request&& request) { return sample(request); }
  /** Draw into memory of the caller: after a warm-up call nothing is allocated. */
  void sample_into(Request& request, void* output, std::size_t bytes) {
    finish(request, sg_sample(get(), request.fields(), output, bytes));
  }
  /** Draw into memory of the GPU that runs the engine; all is there on return. */
  void sample_to_device(Request& request, void* output, std::size_t bytes) {
    finish(request, sg_sample_device(get(), request.fields(), output, bytes));
  }

  /** Make `contexts` concurrent calls free of allocation, and run each once. */
  void warm_up(int contexts = 1) { check(sg_warm_up(get(), nullptr, contexts)); }
  void warm_up(Request& request, int contexts = 1) { finish(request, sg_warm_up(get(), request.fields(), contexts)); }

  sg_info info() const {
    sg_info out = SG_INFO_INIT;
    check(sg_manifest_info(sg_engine_manifest(get()), &out));
    return out;
  }
  sg_tensor_info input(std::size_t index) const {
    sg_tensor_info out = SG_TENSOR_INFO_INIT;
    check(sg_manifest_input(sg_engine_manifest(get()), index, &out));
    return out;
  }
  sg_tensor_info output(std::size_t index = 0) const {
    sg_tensor_info out = SG_TENSOR_INFO_INIT;
    check(sg_manifest_output(sg_engine_manifest(get()), index, &out));
    return out;
  }
  /** What Request::steps may be, the default first. */
  std::vector<std::int64_t> step_counts() const {
    std::size_t count = 0;
    const std::int64_t* counts = sg_engine_step_counts(get(), &count);
    return {counts, counts + count};
  }
  std::string providers() const { return sg_engine_providers(get()); }
  std::string library_version() const { return sg_engine_library_version(get()); }
  /** What one may want to know of how it runs, so far: see sg_engine_notes. */
  std::string notes() const {
    std::string out(sg_engine_notes(get(), nullptr, 0), '\0');
    out.resize(std::min(out.size(), sg_engine_notes(get(), &out[0], out.size() + 1)));
    return out;
  }
  std::string manifest() const { return sg_manifest_json(sg_engine_manifest(get())); }
  sg_engine* get() const { return engine_.get(); }

 private:
  struct Close {
    void operator()(sg_engine* engine) const { sg_engine_close(engine); }
  };

  void open(const std::string& path, const sg_options& options) {
    sg_engine* engine = nullptr;
    check(sg_engine_open(path.c_str(), &options, &engine));
    engine_.reset(engine);
  }

  static Array room(sg_dtype dtype, std::vector<std::int64_t> shape) {
    const std::string samples = std::to_string(shape[0]);
    try {
      return {dtype, std::move(shape)};
    } catch (const std::exception&) {  // bad_alloc, length_error
      throw Error(SG_NO_MEMORY, "samples=" + samples + " cannot be drawn (out of memory); give fewer");
    }
  }

  static void finish(Request& request, sg_status status) {
    if (request.thrown_) std::rethrow_exception(std::exchange(request.thrown_, nullptr));
    check(status);
  }

  std::unique_ptr<sg_engine, Close> engine_;
};

inline Stop::Stop(Engine& engine) {
  sg_stop* stop = nullptr;
  check(sg_stop_create(engine.get(), &stop));
  stop_.reset(stop);
}

}  // namespace samplegraph
#endif
