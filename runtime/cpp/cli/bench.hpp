/** Latency of a call, as percentiles. */
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace cli {

/** Call `once` `warm_up` times, then `calls` times with a clock; a report of one line, or of JSON. */
std::string bench(int calls, int warm_up, bool json, const std::function<void()>& once);

}  // namespace cli
