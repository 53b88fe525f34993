/** Counts the allocations of the process, and makes one of them fail: a program that links this has its own malloc. */
#pragma once

#include <atomic>

namespace sg::test {

extern std::atomic<long> allocations;
extern thread_local bool counting;  // whether those of this thread count
extern thread_local long fail_at;   // the n-th of them fails; 0: none

struct Counting {
  Counting() { counting = true; }
  ~Counting() { counting = false; }
};

}  // namespace sg::test
