/** Number formats, suggestions and half precision are Python's and numpy's. */
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "error.hpp"
#include "half.hpp"
#include "suggest.hpp"
#include "text.hpp"

namespace sg {

TEST(Text, FloatsAreShownAsPythonShowsThem) {
  EXPECT_EQ(float_repr(3), "3.0");
  EXPECT_EQ(float_repr(-0.5), "-0.5");
  EXPECT_EQ(float_repr(0.1f), "0.10000000149011612");
  EXPECT_EQ(float_repr(70000), "70000.0");
  EXPECT_EQ(float_repr(1e16), "1e+16");
  EXPECT_EQ(float_repr(1234567890123456), "1234567890123456.0");
  EXPECT_EQ(float_repr(1e-4), "0.0001");
  EXPECT_EQ(float_repr(1.5e-5), "1.5e-05");
  EXPECT_EQ(float_repr(1e300), "1e+300");
  EXPECT_EQ(float_repr(0), "0.0");
  EXPECT_EQ(float_repr(std::nan("")), "nan");
  EXPECT_EQ(float_repr(-INFINITY), "-inf");
  EXPECT_EQ(float_short(7.5), "7.5");
  EXPECT_EQ(float_short(10), "10");
  EXPECT_EQ(float_short(123456789), "1.23457e+08");
}

TEST(Text, TuplesAndQuotes) {
  const std::int64_t shape[] = {3, 4};
  EXPECT_EQ(tuple_text(shape, 0), "()");
  EXPECT_EQ(tuple_text(shape, 1), "(3,)");
  EXPECT_EQ(tuple_text(shape, 2), "(3, 4)");
  EXPECT_EQ(in_quotes("it's"), "\"it's\"");
  EXPECT_EQ(in_quotes("a\nb"), "'a\\nb'");
  EXPECT_EQ(one_line(" a \n\t b "), "a b");
  EXPECT_EQ(one_line(std::string(50, 'x'), 40), std::string(37, 'x') + "...");
}

TEST(Text, TheNearestNameIsSuggested) {
  EXPECT_DOUBLE_EQ(similarity("class_labels", "class_label"), 22.0 / 23.0);
  EXPECT_DOUBLE_EQ(similarity("abcd", "bcde"), 0.75);
  EXPECT_EQ(suggest("class_label", {"class_labels", "guidance_scale"}), "; did you mean 'class_labels'?");
  EXPECT_EQ(suggest("xyz", {"class_labels", "guidance_scale"}), "");
  EXPECT_EQ(suggest("", {}), "");
}

TEST(Text, EveryHalfComesBack) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const Half half{static_cast<std::uint16_t>(bits)};
    const float wide = half_to_float(half);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(half_to_float(double_to_half(wide))));
    } else {
      ASSERT_EQ(double_to_half(wide).bits, half.bits) << bits;
    }
  }
}

TEST(Text, HalvesAreRoundedOnceToNearestEven) {
  const auto half = [](double value) { return double_to_half(value).bits; };
  for (std::uint32_t bits = 0; bits < 0x7BFF; ++bits) {  // every tie between two neighbours
    const double low = half_to_float({static_cast<std::uint16_t>(bits)});
    const double high = half_to_float({static_cast<std::uint16_t>(bits + 1)});
    const double tie = (low + high) / 2;
    ASSERT_EQ(half(tie), bits % 2 == 0 ? bits : bits + 1);
    ASSERT_EQ(half(std::nextafter(tie, 0)), bits);
    ASSERT_EQ(half(std::nextafter(tie, 1e9)), bits + 1);
    ASSERT_EQ(half(-tie), 0x8000 | half(tie));
  }
  EXPECT_EQ(half(65519.99), 0x7BFF);
  EXPECT_EQ(half(65520), 0x7C00);
  EXPECT_EQ(half(1e300), 0x7C00);
  EXPECT_EQ(half(5e-324), 0);
}

TEST(Text, TheLastErrorIsOneLineAndNeverTooLong) {
  set_last_error("a\n  b\tc ");
  EXPECT_STREQ(last_error(), "a b c");
  const std::string accents = std::string(2046, 'x') + "\xC3\xA9\xC3\xA9";
  set_last_error(accents.c_str());
  EXPECT_EQ(std::strlen(last_error()), 2046u);  // cut before the first accent, not inside it
  set_last_error("cut \xF0\x9F");
  EXPECT_STREQ(last_error(), "cut \xF0\x9F");
}

TEST(Text, AFailureBecomesAStatus) {
  EXPECT_EQ(guarded([] {}), SG_OK);
  EXPECT_EQ(guarded([] { throw Failure(SG_CANCELLED, "x"); }), SG_CANCELLED);
  EXPECT_EQ(guarded([] { throw std::bad_alloc(); }), SG_NO_MEMORY);
  EXPECT_EQ(guarded([] { throw 3; }), SG_INTERNAL);
}

}  // namespace sg
