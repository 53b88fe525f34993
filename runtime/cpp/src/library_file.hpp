/** Whether a file can be given to dlopen, which runs what is in it, and faults on one that is cut off. */
#pragma once

#include <string>

namespace sg {

/** What is wrong with it: "not a shared library", "cut off, ..."; "" where it looks right, or where dlopen will say. */
std::string library_fault(const std::string& path);

}  // namespace sg
