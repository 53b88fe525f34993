/** A session's inputs and outputs bound to memory, once for many runs. */
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "graph.hpp"
#include "manifest.hpp"
#include "notes.hpp"
#include "onnxruntime/handle.hpp"

namespace sg::ort {

/** What all calls of one session share. */
struct SessionParts {
  const Library& library;
  std::string file;
  std::vector<Tensor> inputs, outputs;
  Session session;
  int device = 0;         // of memory that is a GPU's
  bool captures = false;  // CUDA graphs, one per call: ONNX Runtime does
  std::atomic<int> graphs{0};
  std::mutex capturing;   // ONNX Runtime takes one run at a time of a session that captures
  Notes notes;
};

/** The run options of a stop signal of this back end; null for none. */
using StopOptions = const OrtRunOptions* (*)(StopSignal*);

/** Failure SG_ENGINE_FAILED where ONNX Runtime refuses. All that is given outlives the call. */
std::unique_ptr<GraphCall> make_call(SessionParts& parts, Lane& lane, StopOptions stop_options);

}  // namespace sg::ort
