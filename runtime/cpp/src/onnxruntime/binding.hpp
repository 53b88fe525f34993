/** Buffers bound to a session's inputs and output, made once and reused. */
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backend.hpp"
#include "manifest.hpp"
#include "onnxruntime/handle.hpp"

namespace sg::ort {

/** The run options of a stop signal of this back end; null for none. */
using StopOptions = const OrtRunOptions* (*)(StopSignal*);

/** Failure SG_ENGINE_FAILED where ONNX Runtime refuses. `library`, `session`, `file`, tensors outlive the binding. */
std::unique_ptr<Binding> make_binding(const Library& library, OrtSession* session, const std::string& file,
                                      const std::vector<Tensor>& inputs, const Tensor& output, StopOptions stop_options);

}  // namespace sg::ort
