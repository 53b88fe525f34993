#include "file.hpp"

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "error.hpp"
#include "text.hpp"

namespace sg {
namespace fs = std::filesystem;

FileSource::FileSource(const std::string& path, const char* if_missing, const char* if_unreadable) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    throw Failure(SG_BAD_FILE, cat(path, ": no such file; ", if_missing));
  }
  if (!error && !fs::is_regular_file(status)) {
    error = std::make_error_code(fs::is_directory(status) ? std::errc::is_a_directory : std::errc::invalid_argument);
  }
  if (!error) {
    size_ = fs::file_size(path, error);
  }
  if (!error) {
    file_.reset(std::fopen(path.c_str(), "rb"));
    if (!file_) error.assign(errno != 0 ? errno : EIO, std::generic_category());
  }
  if (error == std::errc::not_enough_memory) throw std::bad_alloc();
  if (error) throw Failure(SG_BAD_FILE, cat(path, ": cannot be read (", error.message(), "); ", if_unreadable));
}

bool FileSource::read(std::uint64_t position, char* to, std::size_t count) {
  return fseeko(file_.get(), static_cast<off_t>(position), SEEK_SET) == 0 &&
         std::fread(to, 1, count, file_.get()) == count;
}

std::string read_text(const std::string& path) {
  FileSource file(path, "keep the sidecar beside the file it describes", "give a readable file");
  std::string out(static_cast<std::size_t>(file.size()), '\0');
  if (!file.read(0, out.data(), out.size())) {
    throw Failure(SG_BAD_FILE, cat(path, ": cannot be read to its end; give a readable file"));
  }
  return out;
}

bool is_file(const std::string& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

}  // namespace sg
