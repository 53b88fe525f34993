/** Where results go: checked before any work is done, and written whole or not at all. */
#pragma once

#include <string>

namespace cli {

/** ".png" of "x.PNG": the suffix in small letters, "" for none. */
std::string suffix(const std::string& path);
/** "x" of "folder/x.onnx". */
std::string stem(const std::string& path);

/** Throws UsageError for another suffix than .png or .npy, a folder, or a place where nothing can be created. */
void check_output(const std::string& path);

/** Write to a temporary name beside `path` and rename; a failed run leaves what was there. Throws UsageError. */
void write_file(const std::string& path, const std::string& bytes);

}  // namespace cli
