/** "Did you mean": the nearest of a few names. */
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sg {

/**
 * Ratcliff and Obershelp's similarity of two words, 0 to 1: twice the matched characters over all characters,
 * where the longest common substring matches first and then, recursively, what lies left and right of it.
 * The ratio of Python's difflib, so that both runtimes suggest the same names.
 */
double similarity(std::string_view a, std::string_view b);

/** "; did you mean 'x'?" for the nearest of `allowed`, or "" where none is at least `cutoff` similar. */
std::string suggest(std::string_view word, const std::vector<std::string>& allowed, double cutoff = 0.5);

}  // namespace sg
