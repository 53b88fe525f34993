/** Files, read with errors of one line. */
#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "onnx_metadata.hpp"

namespace sg {

/** An open file. Failure SG_BAD_FILE where it is missing (`if_missing` says what to do) or not readable. */
class FileSource : public ByteSource {
 public:
  FileSource(const std::string& path, const char* if_missing, const char* if_unreadable);
  std::uint64_t size() const override { return size_; }
  bool read(std::uint64_t position, char* to, std::size_t count) override;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file_;
  std::uint64_t size_ = 0;
};

/** All of a text file that lies beside a graph. Failure SG_BAD_FILE. */
std::string read_text(const std::string& path);

/** Whether `path` is a regular file. */
bool is_file(const std::string& path);

}  // namespace sg
