/**
 * TensorRT and TensorRT-RTX: one interface under two names, whose classes only nvinfer.cpp sees.
 *
 * That file is compiled once for each of them, against its own headers: a class there is a table of functions, and the
 * tables of the two may differ.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "cuda/runtime.hpp"

namespace sg::trt {

/** One input or output of an engine. */
struct EngineTensor {
  std::string name;
  bool input = false, on_device = true;
  std::int32_t dtype = 0;           // sg_dtype; 0: one that no graph has
  std::vector<std::int64_t> shape;  // -1: a free axis
};

/** One run of an engine at a time. Functions that return bool give false where the library refuses. */
class Context {
 public:
  virtual ~Context() = default;
  virtual bool set_shape(const char* name, const std::vector<std::int64_t>& shape) = 0;
  virtual bool set_address(const char* name, void* data) = 0;
  /** Axes of an output, once all inputs have theirs. */
  virtual std::vector<std::int64_t> shape(const char* name) const = 0;
  virtual bool enqueue(cuda::Stream stream) = 0;
};

/** A deserialised engine; contexts may be made, and run, by several threads at once. */
class LoadedEngine {
 public:
  virtual ~LoadedEngine() = default;
  virtual std::vector<EngineTensor> tensors() const = 0;
  /** Null where the library refuses. `capture`: whether it captures CUDA graphs, if it can by itself. */
  virtual std::unique_ptr<Context> context(bool capture) = 0;
  /** From now on contexts keep the kernels that they compile; `known` are such of an earlier start. False: they do not fit. */
  virtual bool use_kernels(const std::string& known) = 0;
  /** What was compiled and is known since use_kernels; "" for nothing. */
  virtual std::string kernels() = 0;
  /** The first thing that the library found fault with since it was asked last, or a word for none. */
  virtual std::string said() = 0;
};

/** One of the two libraries. */
class Vendor {
 public:
  virtual ~Vendor() = default;
  /** Such as "1.7.1.116". */
  virtual const std::string& version() const = 0;
  /** Whether its contexts capture CUDA graphs by themselves. */
  virtual bool captures() const = 0;
  /** Whether its contexts compile kernels. */
  virtual bool compiles() const = 0;
  /**
   * An engine that the library refuses gives a LoadedEngine without tensors, which says why. `host_code`: whether it may
   * run code for the host that it carries, as version-compatible engines do.
   */
  virtual std::unique_ptr<LoadedEngine> deserialize(const void* data, std::size_t bytes, bool host_code) = 0;
};

/** Open the library that is said to be at `path`, see open_vendor. */
std::shared_ptr<Vendor> open_tensorrt(const std::string& path);
std::shared_ptr<Vendor> open_tensorrt_rtx(const std::string& path);

/**
 * The library that loads engines of `builder`: at `path` if that is not empty, else where $SAMPLEGRAPH_TENSORRT, or
 * $SAMPLEGRAPH_TENSORRT_RTX, says, else where the loader finds it.
 *
 * Failure SG_NO_ENGINE: not found; too old for the headers of this build, or too new; this build has no such back end.
 * SG_BAD_FILE: no such builder is known.
 */
std::shared_ptr<Vendor> open_vendor(const std::string& file, const std::string& builder, const std::string& path);

}  // namespace sg::trt
