/** Libraries of others, found and opened at run time. */
#pragma once

#include <string>
#include <vector>

namespace sg {

/** How a library is looked for. */
struct LibrarySearch {
  const char* what;                // "ONNX Runtime"
  const char* stem;                // its files in a folder begin so: "libonnxruntime.so"
  const char* variable;            // the variable of the environment that names it
  std::vector<std::string> names;  // on the loader's path, the best first
  std::string fix;                 // "set SAMPLEGRAPH_ONNXRUNTIME to libonnxruntime or its folder"
};

struct OpenLibrary {
  std::string path;  // as it was opened
  void* handle = nullptr;
};

/** What is opened for `given`: "", or a library or its folder. One key stands for one library. */
std::string library_key(const LibrarySearch& search, const std::string& given);

/**
 * Open the library: `given` if it is not empty, else what the variable names, else what the loader finds. It stays
 * open until the process ends.
 *
 * Failure SG_NO_ENGINE: there is none, or it cannot be opened; says what was searched, and what to set.
 */
OpenLibrary open_shared(const LibrarySearch& search, const std::string& given);

/** The function of that name. Failure SG_NO_ENGINE where the library has none: it is not `search.what`. */
void* library_function(const LibrarySearch& search, const OpenLibrary& library, const char* name);

}  // namespace sg
