/** ONNX Runtime, found and loaded at run time: one binary works with any library from 1.17 on. */
#pragma once

#include <onnxruntime_c_api.h>

#include <string>

namespace sg::ort {

/** The interface asked for: that of ONNX Runtime 1.17. Newer libraries still give it. */
constexpr int kApiVersion = 17;

/** The loaded library. It stays loaded until the process ends: its threads outlive every session. */
struct Library {
  std::string path;     // as it was opened
  std::string version;  // such as "1.21.0"
  const OrtApi* api = nullptr;
  OrtEnv* environment = nullptr;
};

/**
 * Open ONNX Runtime: `path` (a library, or the folder that holds it) if it is not empty, else what
 * $SAMPLEGRAPH_ONNXRUNTIME names, else what the loader finds as libonnxruntime. The second call with one path
 * gives the library of the first.
 *
 * Failure SG_NO_ENGINE: not found (says what was searched, and what to set), not ONNX Runtime, or older than 1.17.
 */
const Library& open_library(const std::string& path);

/** What ONNX Runtime says, without its codes and where in its source it said so; releases the status. */
std::string reason(const Library& library, OrtStatus* status);

}  // namespace sg::ort
