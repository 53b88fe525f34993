/** The generators give the answers in tests/vectors, bit for bit. */
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <memory>
#include <sstream>

#include "noise/box_muller.hpp"
#include "noise/cephes.hpp"
#include "noise/draw.hpp"
#include "noise/philox.hpp"
#include "noise/philox_normal.hpp"
#include "noise/torch_generator.hpp"
#include "samplegraph/samplegraph.h"

namespace sg::noise {
namespace {

using Record = std::vector<std::string>;

std::vector<Record> records(const std::string& name) {
  std::ifstream file(std::string(SG_TEST_VECTORS) + "/" + name);
  EXPECT_TRUE(file) << SG_TEST_VECTORS << "/" << name;
  std::vector<Record> out;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream words(line);
    Record record;
    for (std::string word; words >> word;) record.push_back(word);
    out.push_back(record);
  }
  EXPECT_GT(out.size(), 20u);
  return out;
}

std::uint32_t crc32(const std::vector<char>& bytes) {
  std::uint32_t crc = 0xFFFFFFFFu;
  for (const char each : bytes) {
    crc ^= static_cast<unsigned char>(each);
    for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0);
  }
  return ~crc;
}

std::string hex(std::uint32_t value, int digits) {
  char text[16];
  std::snprintf(text, sizeof text, "%0*x", digits, value);
  return text;
}

std::string word(float value) { return hex(static_cast<std::uint32_t>(bits_of(value)), 8); }
float number(const std::string& text) { return float_of(static_cast<std::int32_t>(std::stoul(text, nullptr, 16))); }

/** Memory for `count` elements of "f32" or "f16". */
struct Drawn {
  Drawn(const std::string& kind, std::size_t count)
      : width(kind == "f32" ? 4 : 2), bytes(count * width), sink(bytes.data(), width == 4 ? Type::float32 : Type::float16) {}
  std::string element(std::size_t i) const {
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + i * width, width);
    return hex(value, static_cast<int>(2 * width));
  }
  std::size_t width;
  std::vector<char> bytes;
  Sink sink;
};

/** A CRC and the values shown: all of a short draw, the first 4 and last 20 of a long one. */
void expect_values(const Drawn& drawn, const Record& record, std::size_t crc) {
  EXPECT_EQ(hex(crc32(drawn.bytes), 8), record[crc]);
  const std::size_t shown = record.size() - crc - 1, count = drawn.bytes.size() / drawn.width;
  for (std::size_t i = 0; i < shown; ++i) {
    EXPECT_EQ(drawn.element(i < 4 || shown == count ? i : count - shown + i), record[crc + 1 + i]) << i;
  }
}

TEST(Noise, SingleOperations) {
  for (const Record& record : records("noise_math.txt")) {
    if (record[0] == "fma") {
      EXPECT_EQ(word(std::fma(number(record[1]), number(record[2]), number(record[3]))), record[4]);
    } else if (record[0] == "log") {
      EXPECT_EQ(word(log(number(record[1]))), record[2]);
    } else {
      float sine, cosine;
      sincos(number(record[1]), sine, cosine);
      EXPECT_EQ(word(sine), record[2]);
      EXPECT_EQ(word(cosine), record[3]);
    }
  }
}

TEST(Noise, TorchGenerator) {
  std::map<std::string, std::unique_ptr<TorchGenerator>> streams;
  for (const Record& record : records("noise_torch.txt")) {
    SCOPED_TRACE(record[0] + " " + record[1] + " " + record[2] + " " + record[3]);
    auto& generator = streams[record[0]];
    if (!generator) generator = std::make_unique<TorchGenerator>(std::stoull(record[1]));
    Drawn drawn(record[2], std::stoul(record[3]));
    generator->normal(drawn.sink, std::stoul(record[3]));
    expect_values(drawn, record, 4);
  }
}

TEST(Noise, Philox) {
  for (const Record& record : records("noise_philox.txt")) {
    if (record[0] == "block") {
      std::uint32_t in[6];
      for (int i = 0; i < 6; ++i) in[i] = static_cast<std::uint32_t>(std::stoul(record[static_cast<std::size_t>(i) + 1], nullptr, 16));
      const auto out = philox4x32({in[0], in[1], in[2], in[3]}, in[4], in[5]);
      for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(hex(out[i], 8), record[7 + i]);
      continue;
    }
    SCOPED_TRACE(record[1] + " " + record[2] + " " + record[3]);
    Drawn drawn(record[4], std::stoul(record[5]));
    philox_normal(drawn.sink, std::stoul(record[5]), std::stoull(record[1]),
                  static_cast<std::uint32_t>(std::stoul(record[2])), static_cast<std::uint32_t>(std::stoul(record[3])));
    expect_values(drawn, record, 6);
  }
}

/** What a batch is made of, from the fields "one:7" or "each:7,8", "2", "1x4x4", "3". */
struct Batch {
  Batch(const std::string& source, const std::string& count, const std::string& axes, const std::string& draws)
      : kind(source.rfind("each", 0) == 0 ? SG_SEED_EACH : SG_SEED_ONE), samples(std::stoul(count)), slices(std::stoul(draws)) {
    std::istringstream list(source.substr(source.find(':') + 1)), sizes(axes);
    for (std::string each; std::getline(list, each, ',');) seeds.push_back(std::stoull(each));
    for (std::string axis; std::getline(sizes, axis, 'x');) {
      shape.push_back(std::stoll(axis));
      size *= std::stoul(axis);
    }
  }
  sg_seed_kind kind;
  std::size_t samples, slices, size = 1;
  std::vector<std::uint64_t> seeds;
  std::vector<std::int64_t> shape;
};

TEST(Noise, Batches) {
  for (const Record& record : records("noise_draw.txt")) {
    SCOPED_TRACE(record[0] + " " + record[1] + " " + record[3]);
    const Batch batch(record[1], record[2], record[3], record[4]);
    Drawn noise(record[5], batch.samples * batch.size), steps(record[5], batch.slices * batch.samples * batch.size);
    ASSERT_EQ(sg_draw_noise(record[0] == "philox" ? SG_PHILOX : SG_TORCH, batch.kind, batch.seeds.data(),
                            static_cast<std::int64_t>(batch.samples), batch.shape.data(), batch.shape.size(),
                            static_cast<std::int64_t>(batch.slices), record[5] == "f32" ? SG_FLOAT32 : SG_FLOAT16,
                            noise.bytes.data(), steps.bytes.data()),
              SG_OK);
    EXPECT_EQ(hex(crc32(noise.bytes), 8), record[6]);
    EXPECT_EQ(hex(crc32(steps.bytes), 8), record[7]);
  }
}

TEST(Noise, Uniforms) {
  for (const Record& record : records("noise_uniform.txt")) {
    SCOPED_TRACE(record[0] + " " + record[2]);
    const Batch batch(record[0], record[1], record[2], record[3]);
    Drawn noise("f32", batch.samples * batch.size), steps("f32", batch.slices * batch.samples * batch.size);
    ASSERT_EQ(sg_draw_uniform(batch.kind, batch.seeds.data(), static_cast<std::int64_t>(batch.samples),
                              batch.shape.data(), batch.shape.size(), static_cast<std::int64_t>(batch.slices),
                              reinterpret_cast<float*>(noise.bytes.data()), reinterpret_cast<float*>(steps.bytes.data())),
              SG_OK);
    EXPECT_EQ(hex(crc32(steps.bytes), 8), record[4]);
    expect_values(noise, record, 5);
  }
}

/** The processor's FMA and the C library's give the same bits for a walk over all uniforms of 24 bits. */
TEST(Noise, WithAndWithoutTheProcessorsFma) {
  for (std::uint32_t start = 0; start < (1u << 24); start += 8 * 61) {
    std::uint32_t w1[kLanes], w2[kLanes];
    float fast[2][kLanes], plain[2][kLanes];
    for (std::uint32_t i = 0; i < kLanes; ++i) {
      w1[i] = start + 61 * i;
      w2[i] = (start + 61 * i) * 2654435761u;
    }
    normal_pairs(w1, w2, fast[0], fast[1]);
    normal_pairs_portable(w1, w2, plain[0], plain[1]);
    ASSERT_EQ(std::memcmp(fast, plain, sizeof fast), 0) << start;
  }
}

TEST(Noise, BadArguments) {
  const std::uint64_t seed = 0;
  const std::int64_t shape[] = {4}, none[] = {0}, huge[] = {std::int64_t{1} << 62};
  float out[16];
  const auto refused = [&](const char* text, sg_status status) {
    EXPECT_EQ(status, SG_BAD_ARGUMENT);
    EXPECT_NE(std::string(sg_last_error()).find(text), std::string::npos) << sg_last_error();
  };
  refused("rng=7", sg_draw_noise(7, 1, &seed, 1, shape, 1, 0, SG_FLOAT32, out, nullptr));
  refused("seed_kind=0", sg_draw_noise(0, 0, &seed, 1, shape, 1, 0, SG_FLOAT32, out, nullptr));
  refused("seeds is a null", sg_draw_noise(0, 1, nullptr, 1, shape, 1, 0, SG_FLOAT32, out, nullptr));
  refused("null pointer", sg_draw_noise(0, 1, &seed, 1, shape, 1, 0, SG_FLOAT32, nullptr, nullptr));
  refused("null pointer", sg_draw_noise(0, 1, &seed, 1, shape, 1, 2, SG_FLOAT32, out, nullptr));
  refused("samples", sg_draw_noise(0, 1, &seed, 0, shape, 1, 0, SG_FLOAT32, out, nullptr));
  refused("slices=-1", sg_draw_noise(0, 1, &seed, 1, shape, 1, -1, SG_FLOAT32, out, nullptr));
  refused("shape", sg_draw_noise(0, 1, &seed, 1, none, 1, 0, SG_FLOAT32, out, nullptr));
  refused("no axis", sg_draw_noise(0, 1, &seed, 1, shape, 0, 0, SG_FLOAT32, out, nullptr));
  refused("too large", sg_draw_noise(0, 1, &seed, 1, huge, 1, 0, SG_FLOAT32, out, nullptr));
  refused("too large", sg_draw_noise(0, 1, &seed, 1, shape, 1, INT64_MAX, SG_FLOAT32, out, out));
  refused("seed_kind=3", sg_draw_uniform(3, &seed, 1, shape, 1, 0, out, nullptr));
  refused("null pointer", sg_draw_uniform(1, &seed, 1, shape, 1, 0, nullptr, nullptr));
  refused("shape", sg_draw_uniform(1, &seed, 1, none, 1, 0, out, nullptr));
  refused("dtype=5", sg_draw_noise(0, 1, &seed, 1, shape, 1, 0, SG_INT64, out, nullptr));
}

}  // namespace
}  // namespace sg::noise
