/** A double of TensorRT's interface, as far as src/tensorrt/nvinfer.cpp uses it: the same names, our own classes. */
#pragma once

#include "NvInferTypes.h"

namespace nvinfer1 {

class ICudaEngine {
 public:
  virtual ~ICudaEngine() = default;
  virtual std::int32_t getNbIOTensors() const noexcept = 0;
  virtual const char* getIOTensorName(std::int32_t index) const noexcept = 0;
  virtual TensorIOMode getTensorIOMode(const char* name) const noexcept = 0;
  virtual TensorLocation getTensorLocation(const char* name) const noexcept = 0;
  virtual DataType getTensorDataType(const char* name) const noexcept = 0;
  virtual Dims getTensorShape(const char* name) const noexcept = 0;
  virtual IExecutionContext* createExecutionContext() noexcept = 0;
};

}  // namespace nvinfer1

#include "NvInferLibrary.h"
