/** Compares src/cuda/runtime.hpp with NVIDIA's header; compiles where they agree. */
#include <cuda_runtime_api.h>

#include <cstddef>
#include <type_traits>

#include "cuda/runtime.hpp"

#pragma GCC diagnostic ignored "-Wenum-compare"

namespace {

/** As parameters are passed: pointers alike, numbers of one size. */
template <class One, class Other>
constexpr bool alike = std::is_pointer_v<One> == std::is_pointer_v<Other> && sizeof(One) == sizeof(Other);

template <class One, class Other>
struct Same : std::false_type {};
template <class R, class... A, class S, class... B>
struct Same<R (*)(A...), S (*)(B...)>
    : std::bool_constant<sizeof...(A) == sizeof...(B) && alike<R, S>> {};

template <class One, class Other>
struct SameParameters;
template <class R, class S>
struct SameParameters<R (*)(), S (*)()> : std::true_type {};
template <class R, class A, class... As, class S, class B, class... Bs>
struct SameParameters<R (*)(A, As...), S (*)(B, Bs...)>
    : std::bool_constant<alike<A, B> && SameParameters<R (*)(As...), S (*)(Bs...)>::value> {};

#define SG_COMPARE(name, ...)                                                                  \
  static_assert(Same<decltype(sg::cuda::Runtime::name), decltype(&cuda##name)>::value, #name); \
  static_assert(SameParameters<decltype(sg::cuda::Runtime::name), decltype(&cuda##name)>::value, #name);
SG_CUDA_FUNCTIONS(SG_COMPARE)

static_assert(sg::cuda::kSuccess == cudaSuccess && sg::cuda::kOutOfMemory == cudaErrorMemoryAllocation);
static_assert(sg::cuda::kCopyEither == cudaMemcpyDefault);
static_assert(sg::cuda::kCapabilityMajor == cudaDevAttrComputeCapabilityMajor);
static_assert(sg::cuda::kCapabilityMinor == cudaDevAttrComputeCapabilityMinor);
static_assert(sg::cuda::kCaptureThreadLocal == cudaStreamCaptureModeThreadLocal);
static_assert(sg::cuda::kDeviceMemory == cudaMemoryTypeDevice && sg::cuda::kManagedMemory == cudaMemoryTypeManaged);
static_assert(sg::cuda::kNonBlocking == cudaStreamNonBlocking && sg::cuda::kNoTiming == cudaEventDisableTiming);
static_assert(offsetof(sg::cuda::PointerAttributes, type) == offsetof(cudaPointerAttributes, type));
static_assert(offsetof(sg::cuda::PointerAttributes, device) == offsetof(cudaPointerAttributes, device));
static_assert(sizeof(sg::cuda::PointerAttributes) >= sizeof(cudaPointerAttributes));

}  // namespace
