/**
 * Damaged graphs through the whole of loading: mutate GRAPH.onnx FOLDER COUNT [SEED].
 *
 * Every file is a copy of GRAPH with bytes changed, removed, doubled or swapped for awkward values, cut off, or with
 * its manifest's JSON altered. Loading gives an engine, or a status with a text; the manifest is read by itself too.
 * Deterministic. Exits with 1 where a failure has no text. Meant to run under sanitizers.
 */
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include "samplegraph/samplegraph.h"

namespace {

constexpr const char* kWords[] = {"-1",   "0",     "18446744073709551615", "1e999", "null", "\"\"", "[]", "{}", "true", "1e308",
                                  "[[[[", "\\u0000", "\xff", "NaN",          "9223372036854775807", "\"noise\"", "1.5"};

class Mutator {
 public:
  Mutator(std::string good, unsigned seed) : good_(std::move(good)), random_(seed) {
    json_ = good_.find("samplegraph.manifest");
    if (json_ == std::string::npos) json_ = 0;
  }

  std::string next() {
    std::string out = good_;
    if (below(8) == 0) return out.substr(0, below(out.size()));
    for (std::size_t rounds = 1 + below(4); rounds > 0 && !out.empty(); --rounds) change(out);
    return out;
  }

 private:
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : random_() % limit; }

  /** Mostly in the manifest, else in the graph. */
  std::size_t place(const std::string& out) {
    const std::size_t start = below(4) != 0 && json_ < out.size() ? json_ : 0;
    return start + below(out.size() - start);
  }

  void change(std::string& out) {
    const std::size_t at = place(out), length = 1 + below(40);
    switch (below(6)) {
      case 0: out[at] = static_cast<char>(random_()); break;
      case 1: out[at] = static_cast<char>(out[at] ^ (1 << below(8))); break;
      case 2: out.erase(at, length); break;
      case 3: out.insert(at, out.substr(place(out), length)); break;
      case 4: out.insert(at, std::string(below(11), '\xff')); break;
      default: replace_value(out, at); break;
    }
  }

  /** A JSON value for another one: the file's lengths are kept, so that the scan still finds it. */
  void replace_value(std::string& out, std::size_t at) {
    std::size_t start = out.find_first_of(":[,", at);
    if (start == std::string::npos) return;
    start += start + 1 < out.size() && out[start + 1] == ' ' ? 2 : 1;
    const std::size_t end = out.find_first_of(",]}\n", start);
    if (end == std::string::npos) return;
    std::string word = kWords[below(std::size(kWords))];
    word.resize(end - start, ' ');
    out.replace(start, end - start, word);
  }

  std::string good_;
  std::size_t json_;
  std::mt19937 random_;
};

bool has_text(sg_status status, int number) {
  if (status == SG_OK) return true;
  if (*sg_last_error() != '\0' && status != SG_INTERNAL) return true;
  std::fprintf(stderr, "error: mutation %d: status %d with text \"%s\"\n", number, status, sg_last_error());
  return false;
}

}  // namespace

int main(int count, char** values) {
  if (count < 4) {
    std::fputs("usage: mutate GRAPH.onnx FOLDER COUNT [SEED]\n", stderr);
    return 2;
  }
  std::ifstream file(values[1], std::ios::binary);
  Mutator mutator({std::istreambuf_iterator<char>(file), {}}, count > 4 ? static_cast<unsigned>(std::atoi(values[4])) : 0);
  const std::string path = std::string(values[2]) + "/mutated.onnx";
  int loaded = 0, refused_here = 0, refused_by_engine = 0;
  const int wanted = std::atoi(values[3]);
  for (int i = 0; i < wanted; ++i) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << mutator.next();
    sg_manifest* manifest = nullptr;
    sg_status status = sg_manifest_open(path.c_str(), &manifest);
    if (!has_text(status, i)) return 1;
    sg_manifest_close(manifest);
    if (status != SG_OK) {
      ++refused_here;
      continue;
    }
    sg_engine* engine = nullptr;
    status = sg_engine_open(path.c_str(), nullptr, &engine);
    if (!has_text(status, i)) return 1;
    if (status == SG_NO_ENGINE) {
      std::fprintf(stderr, "error: %s\n", sg_last_error());
      return 2;
    }
    status == SG_OK ? ++loaded : ++refused_by_engine;
    sg_engine_close(engine);
  }
  std::remove(path.c_str());
  std::printf("%d mutations: %d refused by the manifest's reader, %d later, %d still load\n", wanted, refused_here,
              refused_by_engine, loaded);
  return 0;
}
