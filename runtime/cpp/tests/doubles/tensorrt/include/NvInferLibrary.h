/** The rest of the doubles' interface, where ICudaEngine is known. */
#pragma once

namespace nvinfer1 {

class IRuntime {
 public:
  virtual ~IRuntime() = default;
  virtual void setEngineHostCodeAllowed(bool allowed) noexcept = 0;
  virtual ICudaEngine* deserializeCudaEngine(const void* data, std::size_t bytes) noexcept = 0;
};

}  // namespace nvinfer1
