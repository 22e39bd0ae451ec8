#include "base/text/utf8.h"

#include <cstddef>
#include <string_view>

#include <gtest/gtest.h>

namespace apm {

bool operator==(const Utf8Sequence& a, const Utf8Sequence& b) {
  return a.bytes == b.bytes && a.valid == b.valid;
}

namespace {

Utf8Sequence Read(std::string_view text) {
  return ReadUtf8(text.data(), text.data() + text.size());
}

TEST(ReadUtf8Test, AcceptsTheEdgesOfEveryLength) {
  EXPECT_EQ(Read("\x7F"), (Utf8Sequence{1, true}));
  EXPECT_EQ(Read("\xC2\x80"), (Utf8Sequence{2, true}));
  EXPECT_EQ(Read("\xDF\xBF"), (Utf8Sequence{2, true}));
  EXPECT_EQ(Read("\xE0\xA0\x80"), (Utf8Sequence{3, true}));
  EXPECT_EQ(Read("\xED\x9F\xBF"), (Utf8Sequence{3, true}));
  EXPECT_EQ(Read("\xEE\x80\x80"), (Utf8Sequence{3, true}));
  EXPECT_EQ(Read("\xF0\x90\x80\x80"), (Utf8Sequence{4, true}));
  EXPECT_EQ(Read("\xF4\x8F\xBF\xBF"), (Utf8Sequence{4, true}));
}

TEST(ReadUtf8Test, RefusesOverlongForms) {
  EXPECT_EQ(Read("\xC0\xAF"), (Utf8Sequence{1, false}));
  EXPECT_EQ(Read("\xE0\x9F\xBF"), (Utf8Sequence{1, false}));
  EXPECT_EQ(Read("\xF0\x8F\xBF\xBF"), (Utf8Sequence{1, false}));
}

TEST(ReadUtf8Test, RefusesSurrogates) {
  EXPECT_EQ(Read("\xED\xA0\x80"), (Utf8Sequence{1, false}));
}

TEST(ReadUtf8Test, RefusesCodePointsBeyondUnicode) {
  EXPECT_EQ(Read("\xF4\x90\x80\x80"), (Utf8Sequence{1, false}));
  EXPECT_EQ(Read("\xF5\x80\x80\x80"), (Utf8Sequence{1, false}));
}

TEST(ReadUtf8Test, CountsTheStartOfACutSequenceAsOne) {
  EXPECT_EQ(Read("\xF0\x9F\x98"), (Utf8Sequence{3, false}));
  EXPECT_EQ(Read("\xE2\x82x"), (Utf8Sequence{2, false}));
}

TEST(ReadUtf8Test, RefusesALoneContinuationByte) {
  EXPECT_EQ(Read("\x80"), (Utf8Sequence{1, false}));
}

}  // namespace
}  // namespace apm
