/** Bytes as an ONNX file, and as a manifest: whatever they are, a result or an error of one line. */
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "error.hpp"
#include "manifest.hpp"
#include "onnx_metadata.hpp"

namespace {

class Memory : public sg::ByteSource {
 public:
  Memory(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  std::uint64_t size() const override { return size_; }
  bool read(std::uint64_t position, char* to, std::size_t count) override {
    if (position > size_ || count > size_ - position) std::abort();  // the scan has to stay inside
    std::memcpy(to, data_ + position, count);
    return true;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

void expect_text(const char* text) {
  if (*text == '\0') std::abort();
}

void parse(std::string json) {
  try {
    const sg::Manifest manifest = sg::parse_manifest(std::move(json), "fuzz");
    const bool starts = manifest.input(SG_NOISE) != nullptr || manifest.input(SG_INIT_SAMPLE) != nullptr;
    if (manifest.sample_size() < 1 || !starts) std::abort();
  } catch (const sg::Failure& failure) {
    expect_text(failure.what());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    Memory memory(data, size);
    if (auto found = sg::find_metadata(memory, sg::kMetadataKey)) parse(std::move(*found));
  } catch (const std::runtime_error& error) {
    expect_text(error.what());
  }
  parse(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
