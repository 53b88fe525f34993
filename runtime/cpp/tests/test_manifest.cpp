/** What is found inside a file, and what is said about one that cannot be used. */
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "error.hpp"
#include "manifest.hpp"
#include "onnx_metadata.hpp"
#include "samplegraph/samplegraph.h"
#include "support.hpp"

namespace sg {
namespace {

using test::failure;
using test::onnx_bytes;
using test::replaced;
using test::toy_json;
using test::write_temporary;

void expect_refused(const std::string& path, const std::string& text) {
  sg_manifest* manifest = nullptr;
  EXPECT_EQ(sg_manifest_open(path.c_str(), &manifest), SG_BAD_FILE);
  EXPECT_EQ(manifest, nullptr);
  EXPECT_NE(std::string(sg_last_error()).find(text), std::string::npos) << sg_last_error();
  EXPECT_EQ(std::string(sg_last_error()).find('\n'), std::string::npos);
}

TEST(Manifest, IsReadFromTheMetadataAndDescribed) {
  const std::string path = write_temporary("good.onnx", onnx_bytes(kMetadataKey, toy_json({"4", 2, "float32", ""})));
  sg_manifest* manifest = nullptr;
  ASSERT_EQ(sg_manifest_open(path.c_str(), &manifest), SG_OK) << sg_last_error();
  sg_info info = SG_INFO_INIT;
  ASSERT_EQ(sg_manifest_info(manifest, &info), SG_OK);
  EXPECT_STREQ(info.name, "toy-ddim-3");
  EXPECT_STREQ(info.scheduler, "ddim");
  EXPECT_EQ(info.steps, 3);
  EXPECT_EQ(info.batch, 4);
  EXPECT_EQ(info.slices, 2);
  EXPECT_EQ(info.guidance_scale, 2.0);
  EXPECT_EQ(info.weights_file, nullptr);
  ASSERT_EQ(info.input_count, 4u);
  sg_tensor_info labels = SG_TENSOR_INFO_INIT;
  ASSERT_EQ(sg_manifest_input(manifest, 2, &labels), SG_OK);
  EXPECT_STREQ(labels.name, "class_labels");
  EXPECT_EQ(labels.dtype, SG_INT64);
  EXPECT_EQ(labels.role, SG_CONDITION);
  EXPECT_EQ(labels.rank, 1u);
  EXPECT_EQ(labels.shape[0], 4);
  EXPECT_EQ(labels.axes[0], nullptr);
  EXPECT_EQ(labels.maximum, 10);
  EXPECT_TRUE(std::isnan(labels.default_value));
  EXPECT_EQ(sg_manifest_input(manifest, 4, &labels), SG_BAD_ARGUMENT);
  EXPECT_STREQ(sg_last_error(), "input 4 does not exist; there are 4");
  EXPECT_EQ(std::string(sg_manifest_json(manifest)), toy_json({"4", 2, "float32", ""}));
  sg_manifest_close(manifest);
}

TEST(Manifest, ASymbolicAxisHasItsName) {
  const Manifest manifest = test::toy_manifest({"\"batch\"", 0, "float32", ""});
  EXPECT_EQ(manifest.batch(), -1);
  EXPECT_EQ(manifest.inputs[0].shape[0].symbol, "batch");
  EXPECT_EQ(manifest.inputs[0].shape_text(), "(M, 1, 4, 4)");
  EXPECT_EQ(manifest.inputs[1].range_text(), "0..10");
}

TEST(Manifest, AStartFromASampleMayDoWithoutNoise) {
  const std::string init = R"({"name": "init_sample", "role": "init_sample", "dtype": "float32", "shape": [1, 1, 4, 4]},)";
  EXPECT_EQ(test::toy_manifest({"1", 0, "float32", init}).input(SG_INIT_SAMPLE)->name, "init_sample");
  const auto inverted = [](const std::string& json) {
    return replaced(replaced(json, "\"name\": \"noise\"", "\"name\": \"init_sample\""), "\"role\": \"noise\"",
                    "\"role\": \"init_sample\"");
  };
  EXPECT_EQ(parse_manifest(inverted(toy_json()), "x").input(SG_NOISE), nullptr);
  EXPECT_EQ(parse_manifest(inverted(toy_json()), "x").drawn(), nullptr);
  const std::string drawing = inverted(toy_json({"4", 2, "float32", ""}));
  const Manifest manifest = parse_manifest(drawing, "x");
  EXPECT_EQ(manifest.drawn(), manifest.input(SG_STEP_NOISE));
  EXPECT_EQ(manifest.draws(), 2);
  EXPECT_EQ(manifest.noise_size(), 16);
  const auto refused = [&](const std::string& from, const std::string& to, const std::string& text) {
    const std::string what = failure([&] { parse_manifest(replaced(drawing, from, to), "x"); });
    EXPECT_NE(what.find(text), std::string::npos) << what;
  };
  refused("[2, 4, 1, 4, 4]", "[3, 4, 1, 4, 4]", "step_noise and noise.slices contradict");
  refused("[2, 4, 1, 4, 4]", "[2, 4]", "step_noise has no shape of noise");
  refused("[2, 4, 1, 4, 4]", "[2]", "step_noise and the output differ in their batch axis");
  refused("[2, 4, 1, 4, 4]", "[]", "step_noise has no shape of noise");
  refused("[2, 4, 1, 4, 4]", "[2, 4, 1, \"a\", 4]", "step_noise has no shape of noise");
  refused("\"step_noise\", \"dtype\": \"float32\"", "\"step_noise\", \"dtype\": \"int64\"", "step_noise is int64");
  EXPECT_THROW(parse_manifest(replaced(toy_json(), "\"role\": \"noise\"", "\"role\": \"mask\""), "x"), Failure);
}

TEST(Manifest, RolesOfInpaintingAndKindsOfNoise) {
  const std::string known = R"({"name": "image", "role": "image", "dtype": "float32", "shape": [1, 1, 4, 4]},
    {"name": "mask", "role": "mask", "dtype": "float32", "shape": [1, 1, 4, 4], "minimum": 0, "maximum": 1},)";
  const Manifest manifest = test::toy_manifest({"1", 0, "float32", known});
  EXPECT_EQ(manifest.input(SG_IMAGE)->name, "image");
  EXPECT_EQ(manifest.input(SG_MASK)->range_text(), "0..1");
  EXPECT_EQ(manifest.outputs[0].role, SG_OUTPUT);
  EXPECT_EQ(manifest.noise_kind, SG_NORMAL);
  const auto with = [](const std::string& kind) { return replaced(toy_json(), "\"steps\": []", "\"steps\": [], \"kind\": " + kind); };
  EXPECT_EQ(parse_manifest(with("\"normal\""), "x").noise_kind, SG_NORMAL);
  const std::string path = write_temporary("uniform.onnx", onnx_bytes(kMetadataKey, with("\"uniform\"")));
  sg_manifest* handle = nullptr;
  ASSERT_EQ(sg_manifest_open(path.c_str(), &handle), SG_OK) << sg_last_error();
  sg_info info = SG_INFO_INIT;
  ASSERT_EQ(sg_manifest_info(handle, &info), SG_OK);
  EXPECT_EQ(info.noise_kind, SG_UNIFORM);
  sg_manifest_close(handle);
  for (const char* kind : {"\"poisson\"", "3", "null"}) {
    const std::string text = failure([&] { parse_manifest(with(kind), "x"); });
    EXPECT_NE(text.find("x: the manifest is damaged (noise.kind is "), std::string::npos) << text;
    EXPECT_NE(text.find("export the file again"), std::string::npos);
  }
}

TEST(Manifest, TheSidecarStandsIn) {
  const std::string bare = write_temporary("bare.onnx", onnx_bytes("other", "value"));
  std::filesystem::remove(bare + ".json");
  expect_refused(bare, "holds no samplegraph manifest");
  write_temporary("bare.onnx.json", toy_json());
  EXPECT_EQ(read_manifest(bare).name, "toy-ddim-3");
  EXPECT_EQ(read_manifest(bare + ".json").name, "toy-ddim-3");
}

TEST(Manifest, FilesThatCannotBeRead) {
  expect_refused("/no/such/file.onnx", "no such file; give a file that `samplegraph export` wrote");
  expect_refused("/no/such/file.onnx.json", "no such file; keep the sidecar beside the file it describes");
  std::filesystem::create_directories(testing::TempDir() + "folder.onnx");
  expect_refused(testing::TempDir() + "folder.onnx", "cannot be read (Is a directory)");
  expect_refused(write_temporary("empty.onnx", ""), "truncated or not an ONNX file (it is empty)");
  expect_refused(write_temporary("text.onnx", "Hello, world"), "truncated or not an ONNX file");
  expect_refused(write_temporary("long.onnx", std::string(11, '\xFF')), "a number of more than 64 bits");
  const std::string good = onnx_bytes(kMetadataKey, toy_json());
  for (std::size_t length = 1; length < good.size(); length += 7) {
    const std::string path = write_temporary("cut.onnx", good.substr(0, length));
    sg_manifest* manifest = nullptr;
    ASSERT_EQ(sg_manifest_open(path.c_str(), &manifest), SG_BAD_FILE) << length;
  }
  expect_refused(write_temporary("lies.onnx", good.substr(0, good.size() - 1)), "bytes past the end");
}

TEST(Manifest, WhatIsNoneOfOurs) {
  const auto refused = [](const std::string& json, const std::string& text) {
    expect_refused(write_temporary("bad.onnx", onnx_bytes(kMetadataKey, json)), text);
  };
  refused("{", "the manifest is not JSON");
  refused("\xFF\xFE", "the manifest is not JSON");
  refused("[1]", "not a samplegraph manifest");
  refused("{}", "not a samplegraph manifest");
  refused(replaced(toy_json(), "\"samplegraph\"", "\"other\""), "not a samplegraph manifest");
  refused(replaced(toy_json(), "\"format_version\": 1", "\"format_version\": 2"),
          "manifest version 2 is newer than this runtime, which reads up to 1; update samplegraph");
  refused(replaced(toy_json(), "\"format_version\": 1", "\"format_version\": true"), "format_version=true is not a version");
  refused(replaced(toy_json(), "\"format_version\": 1", "\"format_version\": 0"), "format_version=0 is not a version");
  refused(replaced(toy_json(), "\"format_version\": 1,", ""), "format_version=None is not a version");
  refused(std::string(100000, '['), "the manifest is not JSON");
  refused(std::string(100000, '[') + std::string(100000, ']'), "the manifest is not JSON (nested more than 64 deep)");
}

TEST(Manifest, WhatIsDamaged) {
  const auto refused = [](const std::string& from, const std::string& to, const std::string& text) {
    const std::string what = failure([&] { parse_manifest(replaced(toy_json({"2", 3, "float32", ""}), from, to), "x"); });
    EXPECT_NE(what.find("x: the manifest is damaged ("), std::string::npos) << from << ": " << what;
    EXPECT_NE(what.find(text), std::string::npos) << what;
  };
  refused("\"name\": \"toy-ddim-3\",", "", "'name' is missing");
  refused("\"layout\": \"unrolled\"", "\"layout\": 3", "layout is not text");
  refused("\"steps\": 3", "\"steps\": 0", "scheduler.steps is 0");
  refused("\"steps\": 3", "\"steps\": 1.5", "scheduler.steps is 1.5");
  refused("\"steps\": 3", "\"steps\": 18446744073709551615", "scheduler.steps is 1.8446744073709552e+19");
  refused("[900.0", "[\"x\"", "tables.timesteps holds what is no number");
  refused("\"slices\": 3", "\"slices\": 2", "step_noise and noise.slices contradict");
  refused("\"slices\": 3", "\"slices\": -1", "noise.slices is -1");
  refused("\"file\": null", "\"file\": 3", "file is not text");
  refused("\"float32\", \"shape\"", "\"float31\", \"shape\"", "dtype 'float31'");
  refused("\"role\": \"condition\"", "\"role\": \"x\"", "role 'x'");
  refused("\"role\": \"condition\"", "\"role\": \"noise\"", "is a second noise");
  refused("\"name\": \"class_labels\"", "\"name\": \"noise\"", "two inputs are called 'noise'");
  refused("[2, 1, 4, 4]", "[2, 1, 4, 0]", "an axis of noise is 0");
  refused("[2, 1, 4, 4]", "[2, 1, 4, 5]", "has no shape of noise");
  refused("[2, 1, 4, 4]", "[3, 1, 4, 4]", "differ in their batch axis");
  refused("[2, 1, 4, 4]", "[2, 1000000000, 1000000000, 4]", "noise is too large");
  refused("[2, 1, 4, 4]", "[2, 1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "noise has 18 axes");
  refused("\"float32\", \"shape\"", "\"int64\", \"shape\"", "noise is int64");
  refused("\"minimum\": 0", "\"minimum\": \"0\"", "minimum is not a number");
  refused("\"noise\": {", "\"noise\": 3, \"x\": {", "is not an object");
  refused("\"inputs\": [", "\"inputs\": [3, ", "is not an object");
  refused("\"outputs\": [{", "\"outputs\": [], \"x\": [{", "names no noise input and no init_sample, or no output");
}

TEST(Manifest, NullPointersAndOtherVersionsOfTheStructures) {
  sg_manifest* manifest = nullptr;
  EXPECT_EQ(sg_manifest_open(nullptr, &manifest), SG_BAD_ARGUMENT);
  EXPECT_EQ(sg_manifest_open("x", nullptr), SG_BAD_ARGUMENT);
  EXPECT_STREQ(sg_last_error(), "manifest is a null pointer");
  sg_manifest_close(nullptr);
  EXPECT_EQ(sg_manifest_json(nullptr), nullptr);

  const std::string path = write_temporary("good.onnx", onnx_bytes(kMetadataKey, toy_json()));
  ASSERT_EQ(sg_manifest_open(path.c_str(), &manifest), SG_OK);
  EXPECT_EQ(sg_manifest_info(manifest, nullptr), SG_BAD_ARGUMENT);
  sg_info info = SG_INFO_INIT;
  EXPECT_EQ(sg_manifest_info(nullptr, &info), SG_BAD_ARGUMENT);
  info.struct_size = 0;
  EXPECT_EQ(sg_manifest_info(manifest, &info), SG_BAD_ARGUMENT);
  struct {  // a caller of an older version, with something behind its shorter structure
    size_t struct_size;
    const char* name;
    std::uint64_t canary;
  } old = {16, nullptr, 77};
  ASSERT_EQ(sg_manifest_info(manifest, reinterpret_cast<sg_info*>(&old)), SG_OK);
  EXPECT_STREQ(old.name, "toy-ddim-3");
  EXPECT_EQ(old.canary, 77u);
  EXPECT_EQ(old.struct_size, 16u);
  sg_manifest_close(manifest);
}

}  // namespace
}  // namespace sg
