#include "suggest.hpp"

#include <cstddef>

#include "text.hpp"

namespace sg {
namespace {

/** Characters matched between two words; ties go to the leftmost substring of `a`, then of `b`. */
std::size_t matched(std::string_view a, std::string_view b) {
  std::size_t best = 0, at_a = 0, at_b = 0;
  std::vector<std::size_t> run(b.size() + 1, 0);  // run[j + 1]: length of the common run ending at a[i], b[j]
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::size_t j = b.size(); j-- > 0;) {
      run[j + 1] = a[i] == b[j] ? run[j] + 1 : 0;
    }
    for (std::size_t j = 0; j < b.size(); ++j) {
      if (run[j + 1] > best) {
        best = run[j + 1];
        at_a = i + 1 - best;
        at_b = j + 1 - best;
      }
    }
  }
  if (best == 0) return 0;
  return best + matched(a.substr(0, at_a), b.substr(0, at_b)) +
         matched(a.substr(at_a + best), b.substr(at_b + best));
}

}  // namespace

double similarity(std::string_view a, std::string_view b) {
  const std::size_t both = a.size() + b.size();
  return both == 0 ? 1.0 : 2.0 * static_cast<double>(matched(a, b)) / static_cast<double>(both);
}

std::string suggest(std::string_view word, const std::vector<std::string>& allowed, double cutoff) {
  if (word.size() > 200) return "";  // quadratic, and no typing error
  const std::string* nearest = nullptr;
  double best = 0;
  for (const std::string& each : allowed) {
    const double ratio = each.size() > 200 ? 0 : similarity(each, word);
    if (ratio >= cutoff && (ratio > best || (ratio == best && nearest != nullptr && each > *nearest))) {
      best = ratio;
      nearest = &each;
    }
  }
  return nearest == nullptr ? "" : cat("; did you mean ", in_quotes(*nearest), "?");
}

}  // namespace sg
