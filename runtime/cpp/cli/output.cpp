#include "cli/output.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "cli/error.hpp"

namespace cli {
namespace fs = std::filesystem;

std::string suffix(const std::string& path) {
  std::string out = fs::path(path).extension().string();
  for (char& c : out) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

std::string stem(const std::string& path) { return fs::path(path).stem().string(); }

void check_output(const std::string& path) {
  const std::string end = fs::path(path).extension().string();
  if (suffix(path) != ".png" && suffix(path) != ".npy") {
    refuse("output=", path, " ends in ", end.empty() ? "nothing" : end, "; give a name that ends in .png or .npy");
  }
  std::error_code error;
  if (fs::is_directory(path, error)) refuse("output=", path, " is a folder; give the name of a file in it");
  fs::path folder = fs::path(path).parent_path();
  while (!folder.empty() && !fs::exists(folder, error) && folder != folder.parent_path()) folder = folder.parent_path();
  if (folder.empty()) folder = ".";
  if (!fs::is_directory(folder, error)) {
    refuse("output=", path, ": ", folder.string(), " is not a folder; choose another place");
  }
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    refuse("output=", path, ": ", folder.string(), " cannot be written to; choose another place");
  }
}

void write_file(const std::string& path, const std::string& bytes) {
  std::error_code error;
  const fs::path folder = fs::path(path).parent_path();
  if (!folder.empty()) fs::create_directories(folder, error);
  const std::string temporary =
      (folder / ("." + fs::path(path).filename().string() + "." + std::to_string(getpid()) + ".tmp")).string();
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  bool ok = file != nullptr && std::fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
  int reason = errno;
  if (file != nullptr && std::fclose(file) != 0 && ok) {
    ok = false;
    reason = errno;
  }
  if (ok) {
    fs::rename(temporary, path, error);
    ok = !error;
    reason = error.value();
  }
  if (ok) return;
  fs::remove(temporary, error);
  refuse(path, ": ", std::generic_category().message(reason));
}

}  // namespace cli
