/** Objects of ONNX Runtime's C interface, released when they go out of scope. */
#pragma once

#include <memory>

#include "onnxruntime/library.hpp"

namespace sg::ort {

/** Calls the release function that OrtApi has for T. */
template <class T, void(ORT_API_CALL* OrtApi::*release)(T*)>
struct Release {
  const OrtApi* api = nullptr;
  void operator()(T* object) const { (api->*release)(object); }
};

template <class T, void(ORT_API_CALL* OrtApi::*release)(T*)>
class Handle : public std::unique_ptr<T, Release<T, release>> {
 public:
  Handle() = default;
  Handle(const Library& library, T* object) : std::unique_ptr<T, Release<T, release>>(object, {library.api}) {}
};

using Session = Handle<OrtSession, &OrtApi::ReleaseSession>;
using SessionOptions = Handle<OrtSessionOptions, &OrtApi::ReleaseSessionOptions>;
using RunOptions = Handle<OrtRunOptions, &OrtApi::ReleaseRunOptions>;
using MemoryInfo = Handle<OrtMemoryInfo, &OrtApi::ReleaseMemoryInfo>;
using IoBinding = Handle<OrtIoBinding, &OrtApi::ReleaseIoBinding>;
using Value = Handle<OrtValue, &OrtApi::ReleaseValue>;
using TypeInfo = Handle<OrtTypeInfo, &OrtApi::ReleaseTypeInfo>;

}  // namespace sg::ort
