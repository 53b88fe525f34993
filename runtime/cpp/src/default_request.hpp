/** A request that any graph takes, for a warm-up call. */
#pragma once

#include <deque>
#include <vector>

#include "manifest.hpp"
#include "samplegraph/samplegraph.h"

namespace sg {

/**
 * One batch with seed 0 (none where the graph takes no noise); a condition without a default is at its minimum, or 0 where it has none.
 *
 * Failure SG_BAD_ARGUMENT: an axis other than the batch is symbolic, so that its size cannot be guessed.
 */
class DefaultRequest {
 public:
  explicit DefaultRequest(const Manifest& manifest);
  /** Refers to this object. */
  sg_request request() const;

 private:
  std::int64_t samples_;
  bool draws_;
  std::deque<std::vector<std::int64_t>> shapes_;
  std::deque<std::vector<char>> values_;
  std::vector<sg_array> arrays_;
};

}  // namespace sg
