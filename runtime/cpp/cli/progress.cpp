#include "cli/progress.hpp"

#include <unistd.h>

#include <cstdio>

namespace cli {

bool shows_progress() { return isatty(STDERR_FILENO) == 1; }

void show_progress(std::int64_t done, std::int64_t total) {
  if (total < 2) return;
  if (done == total) return clear_progress();
  std::fprintf(stderr, "\rsampling %lld/%lld", static_cast<long long>(done), static_cast<long long>(total));
  std::fflush(stderr);
}

void clear_progress() {
  if (!shows_progress()) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

}  // namespace cli
