/** What a session says about its inputs and outputs, compared with the manifest. */
#pragma once

#include <string>
#include <vector>

#include "manifest.hpp"
#include "onnxruntime/handle.hpp"

namespace sg::ort {

/** Names, dtypes and static axes in the graph are the manifest's. Failure SG_BAD_FILE. */
void compare_signature(const Library& library, OrtSession* session, const std::string& file, const Manifest& manifest);

/** ONNX Runtime's number for an sg_dtype. */
ONNXTensorElementDataType element_type(std::int32_t dtype);

}  // namespace sg::ort
