/** The metadata of an ONNX file without an ONNX library: a scan over the outermost protobuf fields. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace sg {

/** Bytes that are read forwards, with jumps: a file, or memory. */
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint64_t size() const = 0;
  /** Copy the `count` bytes at `position`; false where they are not there. */
  virtual bool read(std::uint64_t position, char* to, std::size_t count) = 0;
};

/**
 * The value of `key` in ModelProto.metadata_props; the graph itself is skipped over, not read.
 *
 * Throws std::runtime_error with a reason where the bytes are truncated or not ONNX.
 */
std::optional<std::string> find_metadata(ByteSource& source, const std::string& key);

/** The same of a file; Failure SG_BAD_FILE where it is missing, unreadable, truncated or not ONNX. */
std::optional<std::string> read_metadata(const std::string& path, const std::string& key);

}  // namespace sg
