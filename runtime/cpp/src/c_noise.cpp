/** The noise generators at the C interface. */
#include "error.hpp"
#include "noise/draw.hpp"
#include "text.hpp"

namespace {

[[noreturn]] void refuse(const std::string& text) { throw sg::Failure(SG_BAD_ARGUMENT, text); }

/** The product; refused where it does not fit, or where a factor is below 1. */
size_t product(const int64_t* sizes, size_t count, const char* name) {
  size_t out = 1;
  for (size_t i = 0; i < count; ++i) {
    if (sizes[i] < 1) refuse(sg::cat(name, "=", sg::tuple_text(sizes, count), ": allowed is sizes of at least 1"));
    if (__builtin_mul_overflow(out, static_cast<size_t>(sizes[i]), &out) || out > (size_t{1} << 60)) {
      refuse(sg::cat(name, "=", sg::tuple_text(sizes, count), " is too large; give fewer elements"));
    }
  }
  return out;
}

/** What both functions take. */
struct Draw {
  int32_t seed_kind;
  const uint64_t* seeds;
  int64_t samples;
  const int64_t* shape;
  size_t rank;
  int64_t slices;
  void* noise;
  void* step_noise;
};

/** The elements of one sample, once everything is as it has to be. */
size_t checked_size(const Draw& draw) {
  if (draw.seed_kind != SG_SEED_ONE && draw.seed_kind != SG_SEED_EACH) {
    refuse(sg::cat("seed_kind=", draw.seed_kind, ": allowed is SG_SEED_ONE or SG_SEED_EACH"));
  }
  if (draw.slices < 0) refuse(sg::cat("slices=", draw.slices, ": allowed is a whole number >= 0"));
  if (draw.rank == 0 || draw.shape == nullptr) refuse("shape has no axis; use (1,) for a scalar sample");
  if (draw.seeds == nullptr) refuse("seeds is a null pointer");
  if (draw.noise == nullptr || (draw.slices > 0 && draw.step_noise == nullptr)) {
    refuse("noise or step_noise is a null pointer");
  }
  const size_t size = product(draw.shape, draw.rank, "shape");
  const int64_t draws = draw.slices == INT64_MAX ? draw.slices : draw.slices + 1;
  const int64_t all[] = {draw.samples, static_cast<int64_t>(size), draws};
  product(&draw.samples, 1, "samples");
  product(all, 3, "samples, elements of one, draws");
  return size;
}

void fill(const Draw& draw, size_t size, sg::noise::Type type, bool philox, bool uniform) {
  sg::noise::draw({philox, draw.seed_kind == SG_SEED_EACH, draw.seeds, uniform}, static_cast<size_t>(draw.samples), size,
                  static_cast<size_t>(draw.slices), {draw.noise, type}, {draw.step_noise, type});
}

}  // namespace

extern "C" sg_status sg_draw_noise(int32_t rng, int32_t seed_kind, const uint64_t* seeds, int64_t samples,
                                   const int64_t* shape, size_t rank, int64_t slices, int32_t dtype, void* noise,
                                   void* step_noise) {
  return sg::guarded([&] {
    if (rng != SG_TORCH && rng != SG_PHILOX) refuse(sg::cat("rng=", rng, ": allowed is SG_TORCH or SG_PHILOX"));
    if (dtype != SG_FLOAT32 && dtype != SG_FLOAT16) {
      refuse(sg::cat("dtype=", dtype, ": allowed is SG_FLOAT32 or SG_FLOAT16; draw float32 and convert the result"));
    }
    const Draw draw{seed_kind, seeds, samples, shape, rank, slices, noise, step_noise};
    const size_t size = checked_size(draw);
    const int64_t words = int64_t{1} << 32;
    if (rng == SG_PHILOX && (samples > words || slices >= words || size > (size_t{1} << 34))) {
      refuse("samples, slices or shape do not fit a 32-bit word of the Philox counter; draw fewer");
    }
    const auto type = dtype == SG_FLOAT32 ? sg::noise::Type::float32 : sg::noise::Type::float16;
    fill(draw, size, type, rng == SG_PHILOX, false);
  });
}

extern "C" sg_status sg_draw_uniform(int32_t seed_kind, const uint64_t* seeds, int64_t samples, const int64_t* shape,
                                     size_t rank, int64_t slices, float* noise, float* step_noise) {
  return sg::guarded([&] {
    const Draw draw{seed_kind, seeds, samples, shape, rank, slices, noise, step_noise};
    fill(draw, checked_size(draw), sg::noise::Type::float32, false, true);
  });
}
