#include "allocations.hpp"

#include <cerrno>
#include <cstdlib>
#include <new>

namespace sg::test {

std::atomic<long> allocations{0};
thread_local bool counting = false;
thread_local long fail_at = 0;

}  // namespace sg::test

namespace {

using sg::test::allocations;
using sg::test::counting;
using sg::test::fail_at;

/** Whether this allocation is made to fail. */
bool counted() {
  if (!counting) return false;
  ++allocations;
  if (fail_at == 0 || --fail_at > 0) return false;
  errno = ENOMEM;
  return true;
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SG_OWN_MALLOC 0  // the sanitizer's own; only operator new is counted
#else
#define SG_OWN_MALLOC 1
#endif

#if SG_OWN_MALLOC && defined(__GLIBC__)
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) { return counted() ? nullptr : __libc_malloc(size); }
void* calloc(std::size_t count, std::size_t size) { return counted() ? nullptr : __libc_calloc(count, size); }
void* realloc(void* old, std::size_t size) { return counted() ? nullptr : __libc_realloc(old, size); }
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  return counted() ? nullptr : __libc_memalign(alignment, size);
}
}
#else
// not inlined, or the compiler compares each call of one with each of the other
__attribute__((noinline)) void* operator new(std::size_t size) {
  void* memory = counted() ? nullptr : std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
__attribute__((noinline)) void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted() ? nullptr : std::malloc(size);
}
__attribute__((noinline)) void operator delete(void* memory) noexcept { std::free(memory); }
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif
