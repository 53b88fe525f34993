/** The switch that a caller holds: a flag between calls of the graph, and the back end's signal inside one. */
#pragma once

#include <atomic>
#include <memory>

#include "backend.hpp"

struct sg_stop {
  std::shared_ptr<sg::Backend> backend;  // outlives the engine, if need be
  std::unique_ptr<sg::StopSignal> signal;
  std::atomic<bool> requested{false};
};
