// Times in milliseconds, and their percentiles as JSON.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <vector>

using Clock = std::chrono::steady_clock;

inline double milliseconds(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

class Latency {
 public:
  /** Room is made for `expected` times, so that none of them allocates. */
  explicit Latency(std::size_t expected) { times_.reserve(expected); }
  void add(Clock::duration time) { times_.push_back(milliseconds(time)); }

  /** Prints "name": {...}, with percentiles by nearest rank. */
  void print(std::FILE* file, const char* name) {
    std::sort(times_.begin(), times_.end());
    std::fprintf(file, "\"%s\": {\"count\": %zu, \"p50\": %.4f, \"p90\": %.4f, \"p99\": %.4f, \"max\": %.4f}", name,
                 times_.size(), at(0.5), at(0.9), at(0.99), at(1));
  }

 private:
  double at(double share) const {
    if (times_.empty()) return 0;
    const double rank = std::ceil(share * static_cast<double>(times_.size()));
    return times_[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
  }

  std::vector<double> times_;
};
