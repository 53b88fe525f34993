/** What a user wants to know of how an engine runs, and no error says. */
#pragma once

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

namespace sg {

/** Sentences, each once, in the order in which they were found. Used by several threads at once. */
class Notes {
 public:
  void add(const std::string& sentence) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (std::find(found_.begin(), found_.end(), sentence) == found_.end()) found_.push_back(sentence);
  }
  std::vector<std::string> all() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return found_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> found_;
};

}  // namespace sg
