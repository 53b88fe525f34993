/** ONNX Runtime's execution providers. */
#pragma once

#include <string>
#include <vector>

#include "notes.hpp"
#include "onnxruntime/handle.hpp"
#include "settings.hpp"

namespace sg::ort {

/** GPU providers that the library has, by their short names, from the best on: what "auto" tries, and then the CPU. */
std::vector<std::string> gpu_providers(const Library& library);

/** Short names for what is asked for. Failure SG_NO_ENGINE: the library lacks one. */
std::vector<Provider> known_providers(const Library& library, const std::vector<Provider>& asked);

/** Whether the first of them works on CUDA's memory. */
bool on_cuda(const std::vector<Provider>& providers);
/** The GPU that it works on. */
int device_of(const Provider& provider);

/** What is wanted of a GPU's provider, where its options do not say. */
struct GpuOptions {
  bool tf32 = false, graphs = false;
  std::string kernels;  // the folder where compiled kernels are kept; "" for nowhere
};
/** `providers` with options for TF32, CUDA graphs and kept kernels; what is given already stays as it is. */
std::vector<Provider> with_options(std::vector<Provider> providers, const GpuOptions& wanted, Notes& notes);
/** Whether one of them is told to capture CUDA graphs. */
bool captures(const std::vector<Provider>& providers);

/**
 * Append the providers, of known_providers, to the session's options, in order; the CPU stands last by itself.
 *
 * Returns their short names and "cpu", with commas. Failure SG_NO_ENGINE: one of them does not start.
 */
std::string append_providers(const Library& library, OrtSessionOptions* options, const std::vector<Provider>& providers);

}  // namespace sg::ort
