#include "cli/bench.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <vector>

namespace cli {
namespace {

/** The smallest time that at least the fraction `p` of the calls did not exceed. */
double percentile(const std::vector<double>& sorted, double p) {
  const double rank = std::ceil(p * static_cast<double>(sorted.size()));
  return sorted[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

}  // namespace

std::string bench(int calls, int warm_up, bool json, const std::function<void()>& once) {
  for (int i = 0; i < warm_up; ++i) once();
  std::vector<double> times(static_cast<std::size_t>(calls));
  for (double& each : times) {
    const auto start = std::chrono::steady_clock::now();
    once();
    each = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }
  std::sort(times.begin(), times.end());
  const double mean = std::accumulate(times.begin(), times.end(), 0.0) / calls;
  const char* format =
      json ? "{\"calls\": %d, \"unit\": \"ms\", \"mean\": %.4f, \"min\": %.4f, \"p50\": %.4f, \"p90\": %.4f, "
             "\"p99\": %.4f, \"max\": %.4f}\n"
           : "%d calls, ms: mean %.3f, min %.3f, p50 %.3f, p90 %.3f, p99 %.3f, max %.3f\n";
  char line[256];
  std::snprintf(line, sizeof line, format, calls, mean, times.front(), percentile(times, 0.5), percentile(times, 0.9),
                percentile(times, 0.99), times.back());
  return line;
}

}  // namespace cli
