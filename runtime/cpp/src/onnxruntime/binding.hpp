/** A session's inputs and outputs bound to memory, once for many runs. */
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "graph.hpp"
#include "manifest.hpp"
#include "onnxruntime/handle.hpp"

namespace sg::ort {

/** The run options of a stop signal of this back end; null for none. */
using StopOptions = const OrtRunOptions* (*)(StopSignal*);

/** Failure SG_ENGINE_FAILED where ONNX Runtime refuses. `library`, `session`, `file`, tensors outlive the call. */
std::unique_ptr<GraphCall> make_call(const Library& library, OrtSession* session, const std::string& file,
                                     const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs,
                                     StopOptions stop_options);

}  // namespace sg::ort
