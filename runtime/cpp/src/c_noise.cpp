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

}  // namespace

extern "C" sg_status sg_draw_noise(int32_t rng, int32_t seed_kind, const uint64_t* seeds, int64_t samples,
                                   const int64_t* shape, size_t rank, int64_t slices, int32_t dtype, void* noise,
                                   void* step_noise) {
  return sg::guarded([&] {
    if (rng != SG_TORCH && rng != SG_PHILOX) refuse(sg::cat("rng=", rng, ": allowed is SG_TORCH or SG_PHILOX"));
    if (seed_kind != SG_SEED_ONE && seed_kind != SG_SEED_EACH) {
      refuse(sg::cat("seed_kind=", seed_kind, ": allowed is SG_SEED_ONE or SG_SEED_EACH"));
    }
    if (dtype != SG_FLOAT32 && dtype != SG_FLOAT16) {
      refuse(sg::cat("dtype=", dtype, ": allowed is SG_FLOAT32 or SG_FLOAT16; draw float32 and convert the result"));
    }
    if (slices < 0) refuse(sg::cat("slices=", slices, ": allowed is a whole number >= 0"));
    if (rank == 0 || shape == nullptr) refuse("shape has no axis; use (1,) for a scalar sample");
    if (seeds == nullptr) refuse("seeds is a null pointer");
    if (noise == nullptr || (slices > 0 && step_noise == nullptr)) refuse("noise or step_noise is a null pointer");
    const size_t size = product(shape, rank, "shape");
    const int64_t all[] = {samples, static_cast<int64_t>(size), slices + 1};
    product(&samples, 1, "samples");
    product(all, 3, "samples, elements of one, draws");
    const int64_t words = int64_t{1} << 32;
    if (rng == SG_PHILOX && (samples > words || slices >= words || size > (size_t{1} << 34))) {
      refuse("samples, slices or shape do not fit a 32-bit word of the Philox counter; draw fewer");
    }
    const auto type = dtype == SG_FLOAT32 ? sg::noise::Type::float32 : sg::noise::Type::float16;
    sg::noise::draw({rng == SG_PHILOX, seed_kind == SG_SEED_EACH, seeds}, static_cast<size_t>(samples), size,
                    static_cast<size_t>(slices), {noise, type}, {step_noise, type});
  });
}
