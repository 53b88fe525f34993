/** How far a run is, for someone who waits at a terminal. */
#pragma once

#include <cstdint>

namespace cli {

/** Whether standard error is a terminal. */
bool shows_progress();
/** Rewrite one line of standard error; clears it at the end. A run of one part shows nothing. */
void show_progress(std::int64_t done, std::int64_t total);
/** Take away the line of a run that was cut short. */
void clear_progress();

}  // namespace cli
