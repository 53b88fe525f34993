/** Values and files of the command line. */
#include <gtest/gtest.h>

#include <cmath>

#include "cli/arguments.hpp"
#include "cli/bench.hpp"
#include "cli/error.hpp"
#include "cli/npy.hpp"
#include "cli/output.hpp"
#include "cli/picture.hpp"
#include "support.hpp"

namespace cli {
namespace {

std::string refused(const std::function<void()>& body) {
  try {
    body();
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

template <class T>
std::vector<T> numbers(const Value& value) {
  std::vector<T> out(value.size());
  std::memcpy(out.data(), value.bytes.data(), value.bytes.size());
  return out;
}

TEST(Cli, ValuesAreWhatNumpyMakesOfThem) {
  const Value labels = parse_value(" 3, 1,4 ", "x");
  EXPECT_EQ(labels.dtype, SG_INT64);
  EXPECT_EQ(labels.shape, (std::vector<std::int64_t>{3}));
  EXPECT_EQ(numbers<std::int64_t>(labels), (std::vector<std::int64_t>{3, 1, 4}));
  EXPECT_EQ(numbers<double>(parse_value("1,2.5,true", "x")), (std::vector<double>{1, 2.5, 1}));
  EXPECT_EQ(numbers<double>(parse_value("1e-3", "x")), (std::vector<double>{0.001}));
  EXPECT_EQ(numbers<double>(parse_value("-INF", "x")), (std::vector<double>{-HUGE_VAL}));
  EXPECT_EQ(parse_value("true,false", "x").dtype, SG_BOOL);
  EXPECT_EQ(parse_value("18446744073709551615", "x").dtype, SG_UINT64);
  EXPECT_EQ(parse_value("[[1, 2], [3, 4]]", "x").shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(parse_value("[]", "x").shape, (std::vector<std::int64_t>{0}));
  EXPECT_EQ(parse_value("+3", "x").dtype, SG_INT64);
  EXPECT_EQ(parse_value("none", "x").kind, Value::Kind::none);
  EXPECT_EQ(parse_value("three", "x").shown, "='three'");
  EXPECT_EQ(parse_value("1180591620717411303424", "x").type, "object");
  EXPECT_EQ(parse_value("1180591620717411303424", "x").shown, "=1180591620717411303424");
  EXPECT_EQ(parse_value("{\"a\": 1}", "x").type, "object");
  EXPECT_EQ(parse_value("[[1], [2, 3]]", "x").broken, "its rows differ in length");
  EXPECT_EQ(parse_value("[1, [2]]", "x").broken, "its rows differ in length");
  EXPECT_EQ(refused([] { parse_value("", "x"); }), "x= has no value; give a number, a list such as 0,1,2, or @file.npy");
  EXPECT_EQ(refused([] { parse_value("1,,2", "x"); }), "x: an empty entry in a list; write it as x=0,1,2");
  EXPECT_EQ(refused([] { parse_value("[1", "x"); }), "x=[1 is not JSON; write for example x=[1,2,3]");
  EXPECT_NE(refused([] { parse_setting("x"); }).find("is not name=value"), std::string::npos);
}

TEST(Cli, Seeds) {
  EXPECT_FALSE(parse_seeds("7").each);
  EXPECT_EQ(parse_seeds("0,18446744073709551615").values, (std::vector<std::uint64_t>{0, UINT64_MAX}));
  EXPECT_NE(refused([] { parse_seeds("-1"); }).find("seed=-1: allowed is an int from 0 to 2**64 - 1"), std::string::npos);
  EXPECT_NE(refused([] { parse_seeds("0,-1"); }).find("seed[1]=-1"), std::string::npos);
  EXPECT_NE(refused([] { parse_seeds("1.5"); }).find("seed=1.5 is not allowed"), std::string::npos);
  EXPECT_NE(refused([] { parse_seeds("18446744073709551616"); }).find("use seed % 2**64"), std::string::npos);
}

TEST(Cli, Arguments) {
  const Arguments a = parse_arguments({"x.onnx", "--seed=3", "--set", "a=1", "--set", "b=2", "-o", "y.npy", "--bench", "20"});
  EXPECT_EQ(a.file, "x.onnx");
  EXPECT_EQ(a.settings.size(), 2u);
  EXPECT_EQ(a.bench, 20);
  const auto bad = [](std::vector<std::string> given) { return refused([&] { parse_arguments(given); }); };
  EXPECT_EQ(bad({}), "FILE is missing; give the .onnx file that `samplegraph export` wrote");
  EXPECT_EQ(bad({"x", "--foo"}), "no such option: --foo; samplegraph-run --help lists them");
  EXPECT_EQ(bad({"x", "--seed"}), "option --seed needs a value");
  EXPECT_EQ(bad({"x", "y"}), "'y' is one file too many; give one FILE");
  EXPECT_EQ(bad({"x", "--samples", "0"}), "samples=0 is not allowed; give a whole number of at least 1");
  EXPECT_EQ(bad({"x", "--set", "seed=1"}), "--set seed is not an input of the graph; give --seed instead");
  EXPECT_EQ(bad({"x", "--set", "a=1", "--set", "a=1"}), "--set a is given twice; give it once, a list as a=1,2,3");
  EXPECT_NE(bad({"x", "--rng", "numpy"}).find("rng='numpy': allowed is 'torch' or 'philox'"), std::string::npos);
  EXPECT_NE(bad({"x", "--guidance-scale", "a"}).find("guidance_scale=a is not a number"), std::string::npos);
}

TEST(Cli, NpyFilesComeBack) {
  samplegraph::Array array(SG_INT32, {2, 3});
  for (int i = 0; i < 6; ++i) std::memcpy(&array.bytes()[static_cast<std::size_t>(4 * i)], &i, 4);
  const std::string bytes = npy_bytes(array);
  const Value value = read_npy(sg::test::write_temporary("a.npy", bytes), "x");
  EXPECT_EQ(value.dtype, SG_INT32);
  EXPECT_EQ(value.shape, array.shape());
  EXPECT_EQ(value.bytes, array.bytes());
  const std::string columns = sg::test::replaced(bytes, "False", "True ");
  EXPECT_EQ(numbers<std::int32_t>(read_npy(sg::test::write_temporary("a.npy", columns), "x")),
            (std::vector<std::int32_t>{0, 2, 4, 1, 3, 5}));
  for (std::size_t length = 0; length < bytes.size(); ++length) {
    const std::string path = sg::test::write_temporary("a.npy", bytes.substr(0, length));
    ASSERT_NE(refused([&] { read_npy(path, "x"); }), "") << length;
  }
  const auto bad = [&](const std::string& from, const std::string& to) {
    return refused([&] { read_npy(sg::test::write_temporary("a.npy", sg::test::replaced(bytes, from, to)), "x"); });
  };
  EXPECT_NE(bad("<i4", ">i4").find("its numbers are '>i4'"), std::string::npos);
  EXPECT_NE(bad("<i4", "|O8"), "");
  EXPECT_NE(bad("(2, 3)", "(-2, 3"), "");
  EXPECT_NE(bad("(2, 3)", "(99999999999999999999, 3)"), "");
  EXPECT_NE(bad("shape", "shope"), "");
  EXPECT_NE(refused([] { read_npy("/no/such.npy", "x"); }).find("cannot be read (No such file"), std::string::npos);
}

TEST(Cli, Outputs) {
  EXPECT_NE(refused([] { check_output("x.jpg"); }).find("output=x.jpg ends in .jpg"), std::string::npos);
  EXPECT_NE(refused([] { check_output("x"); }).find("ends in nothing"), std::string::npos);
  EXPECT_NE(refused([] { check_output("/dev/null/x.png"); }).find("/dev/null is not a folder"), std::string::npos);
  EXPECT_NE(refused([] { write_file("/dev/null/x.png", ""); }), "");
  check_output(testing::TempDir() + "new/folder/x.PNG");
}

TEST(Cli, PicturesAndPercentiles) {
  EXPECT_TRUE(is_picture({3, 8, 8}));
  EXPECT_NE(refused([] { check_picture({2, 8, 8}); }).find("a sample of shape (2, 8, 8) is no picture"), std::string::npos);
  samplegraph::Array array(SG_FLOAT32, {7, 1, 4, 4});
  EXPECT_EQ(png_bytes(array).substr(1, 3), "PNG");
  const float nan = std::nanf("");
  std::memcpy(array.bytes().data(), &nan, 4);
  EXPECT_NE(refused([&] { png_bytes(array); }).find("hold NaN or infinity"), std::string::npos);
  int calls = 0;
  const std::string report = bench(20, 5, true, [&] { ++calls; });
  EXPECT_EQ(calls, 25);
  EXPECT_EQ(report.rfind("{\"calls\": 20", 0), 0u);
}

}  // namespace
}  // namespace cli
