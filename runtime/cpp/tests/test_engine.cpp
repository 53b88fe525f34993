/** Requests, batches and their errors, on a back end that needs no engine. */
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>

#include "engine.hpp"
#include "error.hpp"
#include "noise/draw.hpp"
#include "sampler.hpp"
#include "stop.hpp"
#include "support.hpp"

namespace sg {
namespace {

using test::Asked;
using test::FakeBackend;
using test::Toy;

/** An engine on the fake back end. */
struct Fake {
  explicit Fake(const Toy& toy = {}, void (*change)(Manifest&) = nullptr) : manifest(test::toy_manifest(toy)) {
    if (change != nullptr) change(manifest);
    auto owned = std::make_unique<FakeBackend>(manifest);
    backend = owned.get();
    engine = std::make_unique<Engine>(manifest, std::move(owned));
  }
  std::vector<float> sample(const sg_request& request) {
    std::vector<float> out(static_cast<std::size_t>(engine->count(request)) * 16);
    engine->sample(request, out.data(), out.size() * sizeof(float));
    return out;
  }
  std::string refused(const sg_request& request) {
    return test::failure([&] { sample(request); });
  }
  Manifest manifest;
  FakeBackend* backend;
  std::unique_ptr<Engine> engine;
};

/** What the fake graph gives for noise drawn by itself. */
std::vector<float> expected(const noise::Source& source, const std::vector<std::int64_t>& labels, std::size_t slices,
                            float scale = 2.0f) {
  const std::size_t count = labels.size() * 16;
  std::vector<float> noise(count), steps(slices * count), out(count);
  noise::draw(source, labels.size(), 16, slices, {noise.data(), noise::Type::float32}, {steps.data(), noise::Type::float32});
  for (std::size_t i = 0; i < count; ++i) {
    out[i] = 0.5f * noise[i];
    for (std::size_t k = 0; k < slices; ++k) out[i] += static_cast<float>(k + 1) * steps[k * count + i];
    out[i] += 10.0f * (static_cast<float>(labels[i / 16]) + scale);
  }
  return out;
}

TEST(Engine, OneSeedIsDrawnForTheWholeBatchAndThenSplit) {
  const std::uint64_t seed = 7;
  for (const char* batch : {"1", "2", "3", "5", "8", "\"batch\""}) {
    for (const int slices : {0, 3}) {
      for (const bool philox : {false, true}) {
        Fake fake({batch, slices, "float32", ""});
        Asked asked({3, 1, 4, 1, 5}, seed);
        (*asked).rng = philox ? SG_PHILOX : SG_TORCH;
        EXPECT_EQ(fake.sample(*asked), expected({philox, false, &seed}, asked.labels, static_cast<std::size_t>(slices)))
            << batch << " " << slices;
        const std::int64_t size = fake.manifest.batch();
        EXPECT_EQ(fake.backend->runs, size < 0 ? 1 : (5 + size - 1) / size);
      }
    }
  }
}

TEST(Engine, UniformNoiseOfAnotherShapeThanTheSample) {
  Fake fake({"2", 1, "float32", ""}, [](Manifest& manifest) {
    manifest.noise_kind = SG_UNIFORM;
    for (Tensor& each : manifest.inputs) {
      const auto front = each.shape.begin() + (each.role == SG_STEP_NOISE ? 2 : 1);
      if (each.role == SG_NOISE || each.role == SG_STEP_NOISE) each.shape.insert(front, Axis{3, ""});
    }
  });
  EXPECT_EQ(fake.manifest.noise_size(), 48);
  EXPECT_EQ(fake.manifest.sample_size(), 16);
  const std::uint64_t seed = 3;
  std::vector<float> drawn(2 * 48), steps(2 * 48), seen;
  noise::draw({false, false, &seed, true}, 2, 48, 1, {drawn.data(), noise::Type::float32}, {steps.data(), noise::Type::float32});
  fake.backend->look = [&](const std::string& name, const void* data) {
    if (name == "noise" || name == "step_noise") seen.insert(seen.end(), static_cast<const float*>(data), static_cast<const float*>(data) + 96);
  };
  Asked asked({1, 2}, seed);
  fake.sample(*asked);
  drawn.insert(drawn.end(), steps.begin(), steps.end());
  EXPECT_EQ(seen, drawn);
  (*asked).rng = SG_PHILOX;
  EXPECT_EQ(fake.refused(*asked), "rng='philox': allowed is 'torch' and float32 for uniform noise; leave rng out");
}

TEST(Engine, ASampleOfASeedListDoesNotDependOnItsBatch) {
  Fake fake({"2", 2, "float32", ""});
  const std::uint64_t seeds[] = {5, 6, 7};
  Asked all({0, 1, 2});
  (*all).seed_kind = SG_SEED_EACH;
  (*all).seeds = seeds;
  (*all).seed_count = 3;
  const std::vector<float> together = fake.sample(*all);
  EXPECT_EQ(together, expected({false, true, seeds}, all.labels, 2));
  for (std::size_t i = 0; i < 3; ++i) {
    Asked one({static_cast<std::int64_t>(i)});
    (*one).seed_kind = SG_SEED_EACH;
    (*one).seeds = seeds + i;
    (*one).seed_count = 1;
    EXPECT_EQ(fake.sample(*one), std::vector<float>(together.begin() + static_cast<long>(16 * i),
                                                    together.begin() + static_cast<long>(16 * i + 16)));
  }
}

TEST(Engine, GivenNoiseOneRowForAllAndTheDefault) {
  Fake fake({"2", 1, "float32", ""});
  std::vector<double> noise(3 * 16, 1.0);
  std::vector<std::int8_t> steps(3 * 16, 2);
  const std::int64_t noise_shape[] = {3, 1, 4, 4}, steps_shape[] = {1, 3, 1, 4, 4};
  Asked asked({4});
  asked.inputs.push_back({"noise", noise.data(), noise_shape, 4, SG_FLOAT64, 0});
  asked.inputs.push_back({"step_noise", steps.data(), steps_shape, 5, SG_INT8, 0});
  (*asked).seed_kind = SG_SEED_NONE;
  (*asked).inputs = asked.inputs.data();
  (*asked).input_count = 3;
  EXPECT_EQ(fake.sample(*asked), std::vector<float>(48, 0.5f + 2.0f + 60.0f));
  const std::uint8_t scale = 7;
  asked.inputs.push_back({"guidance_scale", &scale, nullptr, 0, SG_UINT8, 0});
  (*asked).inputs = asked.inputs.data();
  (*asked).input_count = 4;
  EXPECT_EQ(fake.sample(*asked)[0], 0.5f + 2.0f + 110.0f);
}

TEST(Engine, ARowOfAConditionMayBeLeftOut) {
  Fake fake({"1", 0, "float32", R"({"name": "prompt", "role": "condition", "dtype": "float16", "shape": [1, 2, 3]},)"});
  const float prompt[6] = {1, 2, 3, 4, 5, 6};
  const std::int64_t shape[] = {2, 3};
  Asked asked({1, 2});
  asked.inputs.push_back({"prompt", prompt, shape, 2, SG_FLOAT32, 0});
  (*asked).inputs = asked.inputs.data();
  (*asked).input_count = 2;
  EXPECT_EQ(fake.engine->count(*asked), 2);
}

TEST(Engine, WhatAnArgumentMayNotBe) {
  Fake fake({"2", 2, "float32", ""});
  const auto expect = [&](Asked& asked, const std::string& text) { EXPECT_EQ(fake.refused(*asked), text); };
  Asked large({42}), negative({0, 1, -1});
  expect(large, "class_labels=42 is out of range; allowed 0..10");
  expect(negative, "class_labels=-1 at [2] is out of range; allowed 0..10");
  Asked ok({1});
  (*ok).samples = -1;
  expect(ok, "samples=-1 is not allowed; give a whole number of at least 1");
  (*ok).samples = std::int64_t{1} << 60;
  EXPECT_NE(fake.refused(*ok).find("samples=1152921504606846976 cannot be drawn"), std::string::npos);
  (*ok).samples = 0;
  (*ok).rng = 9;
  EXPECT_NE(fake.refused(*ok).find("rng=9"), std::string::npos);
  (*ok).rng = 0;
  (*ok).seed_kind = SG_SEED_NONE;
  expect(ok, "seed is missing; give seed=0 (or one per sample), or your own noise and step_noise");
  (*ok).seed_kind = SG_SEED_EACH;
  expect(ok, "seeds is a null pointer; give seed_count seeds");
  const std::uint64_t seeds[] = {1, 2};
  (*ok).seeds = seeds;
  expect(ok, "seed is empty; give one per sample");
  (*ok).seed_count = 2;
  Asked three({1, 2, 3});
  (*three).seed_kind = SG_SEED_EACH;
  (*three).seeds = seeds;
  (*three).seed_count = 2;
  expect(three, "class_labels has 3 rows, seed has 2 rows; give one row per sample, or one of a condition for all");
  (*three).seed_count = 1;
  (*three).samples = 3;
  expect(three, "seed has 1 row, samples=3; give one row per sample, or one of a condition for all");
  Asked none({1});
  (*none).input_count = 0;
  expect(none, "class_labels is missing; give int64 values in 0..10, (M,)");
  EXPECT_EQ(fake.backend->runs, 0);
}

/** One input that is wrong in some way; everything else is right. */
struct Case {
  sg_array array;
  const char* text;
};

TEST(Engine, WhatAnInputMayNotBe) {
  Fake fake({"\"batch\"", 0, "float32", ""});
  static const float one = 1.0f, nan = std::nanf(""), halves[] = {0.5f, 1.0f}, six[6] = {};
  static const double huge = 1e300;
  static const std::int64_t label = 3;
  static const std::uint64_t large = std::uint64_t{1} << 63;
  static const std::uint8_t yes = 1;
  static const std::int64_t s1[] = {1}, s2[] = {2}, s12[] = {1, 2}, s0[] = {0}, minus[] = {-3}, s32[] = {3, 2};
  static const std::int64_t wrap[] = {std::int64_t{1} << 62};
  const Case cases[] = {
      {{"class_labels", &one, s1, 1, SG_FLOAT32, 0}, "class_labels=1.0 is float32; allowed is int64; give whole numbers"},
      {{"class_labels", halves, s2, 1, SG_FLOAT32, 0}, "class_labels=[0.5, 1.0] is float32; allowed is int64; give whole numbers"},
      {{"class_labels", six, s32, 2, SG_FLOAT32, 0}, "class_labels has shape (3, 2); allowed is (M,); M is the number of samples"},
      {{"class_labels", &yes, s1, 1, SG_BOOL, 0}, "class_labels=True is bool; allowed is int64; give whole numbers"},
      {{"class_labels", &large, s1, 1, SG_UINT64, 0}, "class_labels=9223372036854775808 does not fit int64; allowed 0..10"},
      {{"class_labels", &label, s12, 2, SG_INT64, 0}, "class_labels has shape (1, 2); allowed is (M,); M is the number of samples"},
      {{"class_labels", &label, s0, 1, SG_INT64, 0}, "class_labels is empty, shape (0,); give at least one row of (M,)"},
      {{"class_labels", &label, minus, 1, SG_INT64, 0}, "class_labels is empty, shape (-3,); give at least one row of (M,)"},
      {{"class_labels", &label, wrap, 1, SG_INT64, 0}, "class_labels has shape (4611686018427387904,), which no memory holds"},
      {{"class_labels", nullptr, s1, 1, SG_INT64, 0}, "class_labels has no data (a null pointer)"},
      {{"class_labels", &label, nullptr, 1, SG_INT64, 0}, "class_labels has no shape (a null pointer)"},
      {{"class_labels", &label, s1, 17, SG_INT64, 0}, "class_labels has 17 axes; allowed is (M,)"},
      {{"class_labels", &label, s1, 1, 99, 0}, "class_labels has dtype 99, which is none; set one of sg_dtype"},
      {{"class_labels", &label, s1, 1, SG_BFLOAT16, 0}, "class_labels of shape (1,) is bfloat16; allowed is int64; give whole numbers"},
      {{nullptr, &label, s1, 1, SG_INT64, 0}, "inputs[0] has no name (a null pointer)"},
      {{"class_label", &label, s1, 1, SG_INT64, 0},
       "'class_label' is not an input of toy-ddim-3, which takes class_labels, guidance_scale; did you mean 'class_labels'?"},
      {{"guidance_scale", &nan, nullptr, 0, SG_FLOAT32, 0}, "guidance_scale=nan is not finite in float32; give finite numbers"},
      {{"guidance_scale", &huge, nullptr, 0, SG_FLOAT64, 0}, "guidance_scale=1e+300 is not finite in float32; give finite numbers"},
      {{"guidance_scale", halves, s2, 1, SG_FLOAT32, 0}, "guidance_scale has shape (2,); allowed is (); give a single number"},
      {{"noise", &one, nullptr, 0, SG_FLOAT32, 0}, "seed=0 and noise are both given; give a seed, or the noise arrays"},
      {{"step_noise", &one, nullptr, 0, SG_FLOAT32, 0}, "seed=0 and step_noise are both given; give a seed, or the noise arrays"},
  };
  for (const Case& each : cases) {
    Asked asked({1});
    if (each.array.name != nullptr && std::string(each.array.name) != "class_labels") {
      asked.inputs.push_back(each.array);
    } else {
      asked.inputs[0] = each.array;
    }
    (*asked).inputs = asked.inputs.data();
    (*asked).input_count = asked.inputs.size();
    EXPECT_EQ(fake.refused(*asked), each.text);
  }
  Asked twice({1});
  twice.inputs.push_back(twice.inputs[0]);
  (*twice).inputs = twice.inputs.data();
  (*twice).input_count = 2;
  EXPECT_EQ(fake.refused(*twice), "class_labels is given twice; give it once");
  (*twice).inputs = nullptr;
  EXPECT_EQ(fake.refused(*twice), "inputs is a null pointer; give input_count arrays");
  EXPECT_EQ(fake.backend->runs, 0);
}

TEST(Engine, TheOutputHasToHoldTheSamples) {
  Fake fake;
  Asked asked({1, 2});
  std::vector<float> out(31);
  EXPECT_EQ(test::failure([&] { fake.engine->sample(*asked, out.data(), 31 * 4); }),
            "output holds 124 bytes; 2 samples of float32 (M, 1, 4, 4) take 128");
  EXPECT_EQ(test::failure([&] { fake.engine->sample(*asked, nullptr, 128); }), "output is a null pointer");
}

TEST(Engine, SymbolicAxesThatTwoInputsShareAreEqual) {
  const std::string both = R"({"name": "a", "role": "condition", "dtype": "float32", "shape": [1, "words"]},
    {"name": "b", "role": "condition", "dtype": "float32", "shape": [1, "words"]},)";
  Fake fake({"1", 0, "float32", both});
  const float values[5] = {};
  const std::int64_t five[] = {1, 5}, four[] = {1, 4};
  Asked asked({1});
  asked.inputs.push_back({"a", values, five, 2, SG_FLOAT32, 0});
  asked.inputs.push_back({"b", values, five, 2, SG_FLOAT32, 0});
  (*asked).inputs = asked.inputs.data();
  (*asked).input_count = 3;
  EXPECT_EQ(fake.refused(*asked), "");
  asked.inputs[2].shape = four;
  EXPECT_EQ(fake.refused(*asked), "b has 4 along 'words', a has 5; make them equal");
}

TEST(Engine, ProgressAndStop) {
  Fake fake({"2", 0, "float32", ""});
  Asked asked({0, 1, 2, 3, 4});
  std::vector<std::int64_t> told;
  (*asked).progress_data = &told;
  (*asked).progress = [](void* data, std::int64_t done, std::int64_t total) {
    auto& list = *static_cast<std::vector<std::int64_t>*>(data);
    list.push_back(10 * done + total);
    return list.size() == 5 ? 1 : 0;
  };
  fake.sample(*asked);
  EXPECT_EQ(told, (std::vector<std::int64_t>{13, 23, 33}));
  EXPECT_EQ(fake.refused(*asked), "cancelled after 2 of 3 calls");

  sg_stop stop;
  stop.backend = fake.engine->shared_backend();
  stop.signal = stop.backend->stop_signal();
  (*asked).progress = nullptr;
  (*asked).stop = &stop;
  fake.backend->on_run = [&] { sg_stop_request(&stop); };
  EXPECT_EQ(fake.refused(*asked), "cancelled after 1 of 3 calls");
  EXPECT_EQ(fake.refused(*asked), "cancelled after 0 of 3 calls");  // until it is reset
  fake.backend->on_run = [&] {
    sg_stop_request(&stop);
    throw Failure(SG_ENGINE_FAILED, "terminated");
  };
  sg_stop_reset(&stop);
  EXPECT_EQ(fake.refused(*asked), "cancelled after 0 of 3 calls");
  fake.backend->on_run = nullptr;
  sg_stop_reset(&stop);
  EXPECT_EQ(fake.refused(*asked), "");
}

TEST(Engine, AFailedCallLeavesAUsableEngine) {
  Fake fake;
  Asked asked({1});
  fake.backend->on_run = [] { throw Failure(SG_ENGINE_FAILED, "no"); };
  EXPECT_EQ(fake.refused(*asked), "no");
  fake.backend->on_run = nullptr;
  const std::uint64_t seed = 0;
  EXPECT_EQ(fake.sample(*asked), expected({false, false, &seed}, {1}, 0));
}

TEST(Engine, EightThreadsOnOneEngine) {
  Fake fake({"2", 1, "float32", ""});
  fake.backend->on_run = nullptr;
  std::vector<std::vector<float>> wanted;
  for (std::uint64_t seed = 0; seed < 8; ++seed) wanted.push_back(expected({false, false, &seed}, {1, 2, 3}, 1));
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    threads.emplace_back([&, seed] {
      Asked asked({1, 2, 3}, seed);
      std::vector<float> out(48);
      for (int i = 0; i < 1000; ++i) {
        fake.engine->sample(*asked, out.data(), 192);
        if (out != wanted[seed]) ++wrong;
      }
    });
  }
  for (std::thread& each : threads) each.join();
  EXPECT_EQ(wrong, 0);
}

TEST(Engine, LayoutsAndNamesThatCannotBeDriven) {
  Manifest manifest = test::toy_manifest();
  manifest.layout = "woven";
  EXPECT_EQ(test::failure([&] { check_drivable("x.onnx", manifest); }),
            "x.onnx: layout 'woven' is not one this runtime drives (unrolled, loop, chunked, step, repeated); update samplegraph");
  manifest.layout = "unrolled";
  manifest.inputs[1].name = "seed";
  EXPECT_EQ(test::failure([&] { check_drivable("x.onnx", manifest); }),
            "x.onnx: an input is called 'seed', as is an argument of the call; rename it");
}

}  // namespace
}  // namespace sg
