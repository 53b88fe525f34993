#include "shared_library.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "error.hpp"
#include "library_file.hpp"
#include "text.hpp"

namespace sg {
namespace {
namespace fs = std::filesystem;

[[noreturn]] void refuse(const std::string& text) { throw Failure(SG_NO_ENGINE, text); }

/** Where the library is said to be, and by what. */
struct Source {
  std::string path;
  const char* name;
};

Source source(const LibrarySearch& search, const std::string& given) {
  if (!given.empty()) return {given, "the given path"};
  const char* variable = std::getenv(search.variable);
  if (variable != nullptr && *variable != '\0') return {variable, search.variable};
  return {"", "the loader's path"};
}

/** The library in a folder, the newest name if there are several; the path itself where it is no folder. */
std::string in_folder(const LibrarySearch& search, const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return path;
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(path, error)) {
    const std::string name = entry.path().filename().string();
    if (name.rfind(search.stem, 0) == 0) found.push_back(entry.path().string());
  }
  const std::string stem = search.stem;
  if (found.empty()) refuse(cat(path, ": no ", stem.substr(0, stem.find('.')), " in this folder; ", search.fix));
  return *std::max_element(found.begin(), found.end());
}

}  // namespace

std::string library_key(const LibrarySearch& search, const std::string& given) {
  const std::string path = source(search, given).path;
  return path.empty() ? search.names[0] : path;
}

OpenLibrary open_shared(const LibrarySearch& search, const std::string& given) {
  const Source from = source(search, given);
  const std::vector<std::string> names =
      from.path.empty() ? search.names : std::vector<std::string>{in_folder(search, from.path)};
  std::string searched;
  for (const std::string& name : names) {
    if (const std::string fault = library_fault(name); !fault.empty()) refuse(cat(name, ": ", fault, "; ", search.fix));
    dlerror();
    if (void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) return {name, handle};
    const char* why = dlerror();
    searched += cat(searched.empty() ? "" : "; ", one_line(why != nullptr ? why : name.c_str(), 200));
  }
  refuse(cat(search.what, " cannot be loaded from ", from.name, " (searched ", searched, "); ", search.fix));
}

void* library_function(const LibrarySearch& search, const OpenLibrary& library, const char* name) {
  if (void* found = dlsym(library.handle, name)) return found;
  refuse(cat(library.path, ": not ", search.what, " (it has no ", name, "); ", search.fix));
}

}  // namespace sg
