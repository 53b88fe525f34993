/** What a user of samplegraph-run is told: one line, exit code 2. */
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace cli {

/** Something on the command line, or a file, that cannot be used. */
class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/** Throw a UsageError of all parts, one after another. */
template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  throw UsageError(text.str());
}

}  // namespace cli
