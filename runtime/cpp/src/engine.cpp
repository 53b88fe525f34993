#include "engine.hpp"

#include <algorithm>
#include <cstring>

#include "error.hpp"
#include "feed.hpp"
#include "noise/draw.hpp"
#include "request_rows.hpp"
#include "stop.hpp"
#include "text.hpp"

namespace sg {
namespace {

bool stopped(const sg_request& request) { return request.stop != nullptr && request.stop->requested.load(); }

/** What a run consists of: calls of a whole graph, chunks, or steps. */
const char* part_name(const Manifest& manifest) {
  return manifest.recurrence ? "step" : manifest.chunk ? "chunk" : "call";
}

[[noreturn]] void cancelled(const Manifest& manifest, std::int64_t done, std::int64_t total) {
  throw Failure(SG_CANCELLED, cat("cancelled after ", done, " of ", total, " ", part_name(manifest), total == 1 ? "" : "s"));
}

/** Tell both callbacks; whether one of them stops the call. */
bool told_to_stop(const sg_request& request, const sg_position& position) {
  if (request.watch != nullptr && request.watch(request.watch_data, &position) != 0) return true;
  return request.progress != nullptr && request.progress(request.progress_data, position.done, position.total) != 0;
}

/** Bytes of M rows of `size` elements, `copies` times, with elements of `width` bytes. */
std::size_t checked_bytes(std::int64_t size, std::int64_t samples, std::size_t copies, std::size_t width) {
  std::size_t bytes = static_cast<std::size_t>(size) * width;
  if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(samples), &bytes) ||
      __builtin_mul_overflow(bytes, copies, &bytes) || bytes > static_cast<std::size_t>(-1) / 2) {
    throw Failure(SG_BAD_ARGUMENT, cat("samples=", samples, " cannot be drawn (no memory holds it); give fewer"));
  }
  return bytes;
}

/** Bytes of the noise and step noise of M samples. */
std::size_t noise_bytes(const Manifest& manifest, std::int64_t samples) {
  return checked_bytes(manifest.noise_size(), samples, static_cast<std::size_t>(manifest.draws()),
                       manifest.drawn()->type().size);
}

std::size_t output_bytes(const Manifest& manifest, std::int64_t samples) {
  return checked_bytes(manifest.sample_size(), samples, 1, manifest.outputs[0].type().size);
}

/** The generator that is asked for can draw this kind of noise, and as much of it. */
void check_generator(const sg_request& request, const Manifest& manifest, std::int64_t samples) {
  const bool philox = request.rng == SG_PHILOX;
  if (manifest.noise_kind == SG_UNIFORM && (philox || manifest.drawn()->dtype != SG_FLOAT32)) {
    throw Failure(SG_BAD_ARGUMENT, cat("rng=", in_quotes(philox ? "philox" : "torch"),
                                       ": allowed is 'torch' and float32 for uniform noise; leave rng out"));
  }
  const std::int64_t most = std::int64_t{1} << 32;
  const char* allowed = ": allowed is what fits a 32-bit word of the Philox counter; ";
  if (!philox) return;
  if (manifest.noise_size() > 4 * most) {
    throw Failure(SG_BAD_ARGUMENT, cat("sample_shape=", manifest.noise_size(), allowed, "make the sample smaller"));
  }
  if (samples > most) throw Failure(SG_BAD_ARGUMENT, cat("samples=", samples, allowed, "draw fewer samples"));
}

}  // namespace

Engine::Engine(const Manifest& manifest, std::unique_ptr<Backend> backend)
    : manifest_(manifest), backend_(std::move(backend)) {}

/** A context for the time of one call. */
class Engine::Lease {
 public:
  explicit Lease(Engine& engine) : engine_(engine), context_(engine.take()) {}
  ~Lease() {
    try {
      context_->binding->lane().wait();  // what failed may still be reading its memory
    } catch (const std::exception&) {  // and has been told
    }
    engine_.give_back(std::move(context_));
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  Context& operator*() { return *context_; }

 private:
  Engine& engine_;
  std::unique_ptr<Context> context_;
};

std::unique_ptr<Engine::Context> Engine::take() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!free_.empty()) {
      std::unique_ptr<Context> context = std::move(free_.back());
      free_.pop_back();
      return context;
    }
    free_.reserve(++contexts_);  // so that giving it back allocates nothing
  }
  return std::make_unique<Context>(manifest_, backend_->bind());
}

void Engine::give_back(std::unique_ptr<Context> context) noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(std::move(context));
}

std::int64_t Engine::count(const sg_request& request) const {
  Call call(manifest_);
  assemble(manifest_, request, call);
  output_bytes(manifest_, call.samples);
  if (call.drawn) {
    check_generator(request, manifest_, call.samples);
    noise_bytes(manifest_, call.samples);
  }
  return call.samples;
}

/** Check the request, and make room for it. */
void Engine::prepare(const sg_request& request, Context& context) const {
  assemble(manifest_, request, context.call);
  if (context.call.drawn) {
    check_generator(request, manifest_, context.call.samples);
    const std::size_t bytes = noise_bytes(manifest_, context.call.samples);
    try {
      context.noise.reserve(bytes);
    } catch (const std::bad_alloc&) {
      throw Failure(SG_NO_MEMORY, cat("samples=", context.call.samples, " cannot be drawn (out of memory); give fewer"));
    }
  }
  context.binding->shape(context.call.shapes, context.call.output_shape);
  for (std::size_t i = 0; i < manifest_.inputs.size(); ++i) {
    const Given& given = context.call.given[i];
    if (given.on_device) context.binding->lane().check_reachable(given.data, argument_name(manifest_.inputs[i]));
  }
}

void Engine::run(const sg_request& request, Context& context, void* output, bool to_device) {
  const Call& call = context.call;
  char* drawn = static_cast<char*>(context.noise.data());  // all draws in order: noise, if it is taken, then the slices
  char* steps = drawn;
  if (call.drawn) {
    const Tensor& tensor = *manifest_.drawn();
    const auto samples = static_cast<std::size_t>(call.samples), size = static_cast<std::size_t>(manifest_.noise_size());
    const auto type = tensor.dtype == SG_FLOAT32 ? noise::Type::float32 : noise::Type::float16;
    const bool each = request.seed_kind == SG_SEED_EACH;
    char* others = drawn + samples * size * tensor.type().size;
    if (tensor.role == SG_NOISE) steps = others;
    const bool uniform = manifest_.noise_kind == SG_UNIFORM;
    noise::draw({request.rng == SG_PHILOX, each, each ? request.seeds : &request.seed, uniform}, samples, size,
                static_cast<std::size_t>(manifest_.draws() - 1), {drawn, type}, {others, type});
  }
  const std::int64_t batch = call.output_shape[0], batches = (call.samples + batch - 1) / batch;
  const std::size_t width =
      static_cast<std::size_t>(manifest_.sample_size()) * manifest_.outputs[0].type().size;
  context.shown.assign(1, batch);
  const std::vector<Axis>& axes = manifest_.shown().shape;
  for (std::size_t axis = 1; axis < axes.size(); ++axis) context.shown.push_back(axes[axis].size);
  Lane& lane = context.binding->lane();
  lane.after(request.device_stream);
  for (std::int64_t k = 0; k < batches; ++k) {
    feed(manifest_, call, k * batch, drawn, steps, *context.binding);
    const std::int64_t rows = std::min(batch, call.samples - k * batch);
    context.shown[0] = rows;
    run_batch(request, context, k, batches);
    char* to = static_cast<char*>(output) + static_cast<std::size_t>(k * batch) * width;
    const std::size_t bytes = static_cast<std::size_t>(rows) * width;
    if (!to_device) {
      std::memcpy(to, context.binding->output().fetch(), bytes);
      continue;
    }
    lane.copy(to, context.binding->output().graph(), bytes);
    lane.wait();
  }
}

/** All parts of batch `k`, with the callbacks after each. */
void Engine::run_batch(const sg_request& request, Context& context, std::int64_t k, std::int64_t batches) const {
  const auto parts = static_cast<std::int64_t>(context.binding->parts());
  const std::int64_t total = batches * parts;
  const bool watched = request.watch != nullptr || request.progress != nullptr || request.stop != nullptr;
  for (std::int64_t part = 0; part < parts; ++part) {
    const std::int64_t done = k * parts + part;
    if (stopped(request)) cancelled(manifest_, done, total);
    Position reached;
    try {
      reached = context.binding->run(static_cast<std::size_t>(part),
                                     request.stop != nullptr ? request.stop->signal.get() : nullptr, watched);
    } catch (const Failure&) {
      if (stopped(request)) cancelled(manifest_, done, total);
      throw;
    }
    const sg_position position = {sizeof(sg_position),        done + 1,   total, reached.step,
                                  k * context.call.output_shape[0], reached.x0, context.shown.data(), context.shown.size()};
    if (told_to_stop(request, position)) cancelled(manifest_, done + 1, total);
  }
}

void Engine::sample(const sg_request& request, void* output, std::size_t bytes, bool to_device) {
  Lease lease(*this);
  Context& context = *lease;
  prepare(request, context);
  const Tensor& tensor = manifest_.outputs[0];
  const std::size_t needed = output_bytes(manifest_, context.call.samples);
  if (bytes < needed) {
    throw Failure(SG_BAD_ARGUMENT, cat("output holds ", std::to_string(bytes), " bytes; ", context.call.samples,
                                       context.call.samples == 1 ? " sample" : " samples", " of ", tensor.type().name,
                                       " ", tensor.shape_text(), " take ", std::to_string(needed)));
  }
  if (output == nullptr) throw Failure(SG_BAD_ARGUMENT, "output is a null pointer");
  if (to_device) context.binding->lane().check_reachable(output, "output");
  run(request, context, output, to_device);
}

void Engine::warm_up(const sg_request& request, int contexts) {
  std::vector<std::unique_ptr<Lease>> leases;
  Buffer output;
  for (int i = 0; i < contexts; ++i) {
    leases.push_back(std::make_unique<Lease>(*this));
    Context& context = **leases.back();
    prepare(request, context);
    output.reserve(output_bytes(manifest_, context.call.samples));
    run(request, context, output.data(), false);
  }
}

}  // namespace sg
