// Decode a stream: frames of 16 bands come in, samples go out, both raw float32 in this machine's byte order.
//
//   signal_stream GRAPH.onnx [--seed N] < bands.f32 > samples.f32
//
// Samples leave as soon as the frames for them are there: a window needs one frame beyond its own. Its noise has the seed
// N + k, the same as in stream.py. At the end, a line of JSON on stderr says how long the windows took.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <samplegraph/samplegraph.hpp>
#include <string>

#include "latency.hpp"

namespace {

constexpr std::size_t kBands = 16, kFrame = 64, kFrames = 4, kSeenFrames = kFrames + 2;
constexpr std::size_t kHopFrames = kFrames - 1, kHop = kHopFrames * kFrame, kWindow = kFrames * kFrame;
constexpr std::size_t kExpectedWindows = 100000;
constexpr double kFloor = 1e-3, kHannPower = 48.0, kQuietest = 0.01;
constexpr double kRate = 8000;

/** What the network calls 1, given the bands it sees: gain_of in bands.py. */
float gain_of(const std::array<float, kSeenFrames * kBands>& seen) {
  double loudest = 0;
  for (std::size_t frame = 0; frame < kSeenFrames; ++frame) {
    double power = 0;
    for (std::size_t band = 0; band < kBands; ++band) {
      power += (std::pow(10.0, 4 * static_cast<double>(seen[frame * kBands + band])) - 1) * kFloor;
    }
    loudest = std::max(loudest, power);
  }
  return static_cast<float>(std::sqrt(loudest / kHannPower) + kQuietest);
}

class Decoder {
 public:
  Decoder(const std::string& graph, std::uint64_t seed) : engine_(graph, one_thread()), seed_(seed) {
    if (engine_.output().rank != 3 || engine_.output().shape[2] != kWindow) {
      throw std::runtime_error(graph + ": its output is no window of 256 samples");
    }
    request_.view("bands", seen.data(), {1, kSeenFrames, kBands}, SG_FLOAT32);
    request_.view("context", context_.data(), {1, kFrame}, SG_FLOAT32);
    engine_.warm_up(request_.seed(seed_));
  }

  /** Decodes what `seen` holds; writes the samples that are now complete to stdout. */
  void decode() {
    const Clock::time_point begin = Clock::now();
    const float gain = gain_of(seen);
    std::transform(heard_.begin(), heard_.end(), context_.begin(), [gain](float each) { return each / gain; });
    engine_.sample_into(request_.seed(seed_ + windows_), window_.data(), sizeof(window_));
    std::transform(window_.begin(), window_.end(), window_.begin(), [gain](float each) { return each * gain; });
    for (std::size_t i = 0; i < kFrame; ++i) {
      const float rising = (static_cast<float>(i) + 0.5f) / static_cast<float>(kFrame);
      window_[i] = heard_[i] + rising * (window_[i] - heard_[i]);
    }
    std::copy(window_.begin() + kHop, window_.end(), heard_.begin());
    times_.add(Clock::now() - begin);
    const std::size_t before = windows_++ == 0 ? kFrame : 0;  // the first frame lies before the stream
    write(window_.data() + before, kHop - before);
  }

  /** The last frame, and the report. */
  void finish() {
    if (windows_ > 0) write(heard_.data(), kFrame);
    std::fprintf(stderr, "{\"windows\": %zu, \"window_ms\": %.1f, ", windows_, 1000.0 * kHop / kRate);
    times_.print(stderr, "decode_ms");
    std::fprintf(stderr, "}\n");
  }

  std::array<float, kSeenFrames * kBands> seen{};

 private:
  static samplegraph::Options one_thread() {
    samplegraph::Options options;
    options.threads = 1;
    return options;
  }

  static void write(const float* samples, std::size_t count) {
    if (std::fwrite(samples, sizeof(float), count, stdout) != count || std::fflush(stdout) != 0) {
      throw std::runtime_error("the samples cannot be written; the reader has gone");
    }
  }

  samplegraph::Engine engine_;
  samplegraph::Request request_;
  std::uint64_t seed_;
  std::size_t windows_ = 0;
  Latency times_{kExpectedWindows};
  std::array<float, kFrame> heard_{}, context_{};
  std::array<float, kWindow> window_{};
};

/** Reads up to `count` frames into `frames`; silence after the end. Returns how many there were. */
std::size_t read_frames(float* frames, std::size_t count) {
  const std::size_t numbers = std::fread(frames, sizeof(float), count * kBands, stdin);
  if (numbers % kBands != 0) throw std::runtime_error("the input ends within a frame of 16 bands");
  std::fill(frames + numbers, frames + count * kBands, 0.0f);
  return numbers / kBands;
}

/** Windows see two frames before their hop, its three, and one more. */
void stream(Decoder& decoder) {
  constexpr std::size_t ahead = kSeenFrames - kHopFrames;
  std::size_t waiting = read_frames(decoder.seen.data() + 2 * kBands, kSeenFrames - 2);
  while (waiting > 0) {
    decoder.decode();
    std::copy(decoder.seen.begin() + kHopFrames * kBands, decoder.seen.end(), decoder.seen.begin());
    const std::size_t more = read_frames(decoder.seen.data() + ahead * kBands, kHopFrames);
    waiting = (waiting > kHopFrames ? waiting - kHopFrames : 0) + more;
  }
  decoder.finish();
}

}  // namespace

int main(int count, char** values) {
  try {
    std::uint64_t seed = 0;
    char* end = nullptr;
    if (count == 4 && std::string(values[2]) == "--seed") seed = std::strtoull(values[3], &end, 10);
    if ((count != 2 && count != 4) || (count == 4 && (end == nullptr || end == values[3] || *end != '\0'))) {
      throw std::runtime_error("usage: signal_stream GRAPH.onnx [--seed N] < bands.f32 > samples.f32");
    }
    Decoder decoder(values[1], seed);
    stream(decoder);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 2;
  }
}
