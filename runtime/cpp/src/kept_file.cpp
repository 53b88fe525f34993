#include "kept_file.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "sha256.hpp"
#include "text.hpp"

namespace sg {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kDigest = 64;

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

bool write(const std::string& path, const std::string& data) {
  std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "wb"));
  const std::string digest = sha256(data.data(), data.size());
  return file && std::fwrite(digest.data(), 1, kDigest, file.get()) == kDigest &&
         std::fwrite(data.data(), 1, data.size(), file.get()) == data.size() && std::fclose(file.release()) == 0;
}

/** Remove what is beyond `limit` bytes of the files with that suffix, the newest kept. */
void trim(const fs::path& folder, const fs::path& suffix, std::uintmax_t limit) {
  struct Entry {
    fs::file_time_type used;
    std::uintmax_t size;
    fs::path path;
  };
  std::vector<Entry> entries;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() != suffix) continue;
    std::error_code gone;
    Entry entry{at->last_write_time(gone), at->file_size(gone), at->path()};
    if (!gone) entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.used > b.used; });
  std::uintmax_t size = 0;
  for (const Entry& each : entries) {
    if ((size += each.size) > limit) fs::remove(each.path, error);
  }
}

}  // namespace

std::string cache_folder() {
  if (const char* named = std::getenv("SAMPLEGRAPH_CACHE")) return named;
  const char* home = std::getenv("HOME");
#ifdef __APPLE__
  return home != nullptr && *home != '\0' ? cat(home, "/Library/Caches/samplegraph") : "";
#else
  const char* base = std::getenv("XDG_CACHE_HOME");
  if (base != nullptr && *base != '\0') return cat(base, "/samplegraph");
  return home != nullptr && *home != '\0' ? cat(home, "/.cache/samplegraph") : "";
#endif
}

std::string read_kept(const std::string& path) {
  std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  std::error_code error;
  const std::uintmax_t size = file ? fs::file_size(path, error) : 0;
  if (error || size < kDigest) return "";
  fs::last_write_time(path, fs::file_time_type::clock::now(), error);
  std::string digest(kDigest, '\0'), data(size - kDigest, '\0');
  const bool whole = std::fread(digest.data(), 1, kDigest, file.get()) == kDigest &&
                     std::fread(data.data(), 1, data.size(), file.get()) == data.size();
  return whole && sha256(data.data(), data.size()) == digest ? data : "";
}

void write_kept(const std::string& path, const std::string& data, std::uintmax_t limit) {
  static std::atomic<unsigned> count{0};
  const fs::path target(path), folder = target.parent_path();
  const std::string name = cat(".", target.filename().string(), ".", std::to_string(getpid()), ".", std::to_string(count++), ".tmp");
  const fs::path temporary = folder / name;
  std::error_code error;
  fs::create_directories(folder, error);
  if (!write(temporary.string(), data)) {
    fs::remove(temporary, error);
    return;
  }
  fs::rename(temporary, target, error);
  if (error) fs::remove(temporary, error);
  trim(folder, target.extension(), limit);
}

}  // namespace sg
