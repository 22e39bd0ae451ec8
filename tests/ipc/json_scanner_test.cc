#include "ipc/json_scanner.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace apm::ipc {
namespace {

using std::string_view_literals::operator""sv;

bool IsJson(std::string_view text) {
  std::string unescaped;
  unescaped.reserve(text.size());
  JsonScanner scanner(text, unescaped);
  JsonValue value;
  return scanner.ReadValue(value) && scanner.AtEnd();
}

// The decoded string, or "refused".
std::string Decoded(std::string_view text) {
  std::string unescaped;
  unescaped.reserve(text.size());
  JsonScanner scanner(text, unescaped);
  JsonValue value;
  return scanner.ReadValue(value) && scanner.AtEnd() ? std::string(value.text)
                                                     : "refused";
}

TEST(JsonScannerTest, AcceptsEveryKindOfValue) {
  for (const std::string_view text :
       {"null", "true", "false", "0", "-0", "12.5e-3", "1E+9", R"("")", "[]",
        "{}", "[1,[2],{}]", R"({"a":{"b":[null]}})", " \t\r\n{ } "}) {
    EXPECT_TRUE(IsJson(text)) << text;
  }
}

TEST(JsonScannerTest, RefusesWhatTheGrammarDoesNotHave) {
  for (const std::string_view text :
       {"",    "nul",      "True",      "01",          "1.",
        ".5",  "+1",       "1e",        "-",           "0x1",
        "NaN", "'a'",      "[1,]",      "[,1]",        "[1 2]",
        "{,}", R"({"a"})", R"({"a":})", R"({"a":1,})", "{a:1}",
        "[",   "]",        "{",         "[}",          R"({"a":1]})",
        "1 2", R"(["a)",   "//x",       "[1]x"}) {
    EXPECT_FALSE(IsJson(text)) << text;
  }
}

TEST(JsonScannerTest, ChecksStringsInsideOfSkippedValuesToo) {
  EXPECT_TRUE(IsJson(R"([{"k\u00e9":"\ud83d\ude00\n"}])"));
  EXPECT_FALSE(IsJson(R"(["\x"])"));
  EXPECT_FALSE(IsJson(R"(["\u12g4"])"));
  EXPECT_FALSE(IsJson("[\"a\nb\"]"));
  EXPECT_FALSE(IsJson("[\"\xC3\x28\"]"));
  EXPECT_FALSE(IsJson("{\"\xFF\":1}"));
}

TEST(JsonScannerTest, DecodesEscapes) {
  EXPECT_EQ(Decoded(R"("a\"\\\/\b\f\n\r\tz")"), "a\"\\/\b\f\n\r\tz");
  EXPECT_EQ(Decoded(R"("\u0041\u00e9\u4e16")"), "A\xC3\xA9\xE4\xB8\x96");
  EXPECT_EQ(Decoded(R"("\u0000")"), "\0"sv);
}

TEST(JsonScannerTest, JoinsSurrogatePairs) {
  EXPECT_EQ(Decoded(R"("\ud83d\ude00!")"), "\xF0\x9F\x98\x80!");
}

TEST(JsonScannerTest, ReplacesLoneSurrogates) {
  EXPECT_EQ(Decoded(R"("\ud83dx")"), "\xEF\xBF\xBDx");
  EXPECT_EQ(Decoded(R"("\ude00")"), "\xEF\xBF\xBD");
  EXPECT_EQ(Decoded(R"("\ud83d\ud83d\ude00")"), "\xEF\xBF\xBD\xF0\x9F\x98\x80");
  EXPECT_EQ(Decoded(R"("\ud83d\u0041")"),
            "\xEF\xBF\xBD"
            "A");
}

TEST(JsonScannerTest, RefusesStringsWithoutEnd) {
  EXPECT_EQ(Decoded(R"("abc)"), "refused");
  EXPECT_EQ(Decoded(R"("abc\)"), "refused");
  EXPECT_EQ(Decoded(R"("abc\u00)"), "refused");
}

TEST(JsonScannerTest, AcceptsTheDeepestNestingAndNoMore) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(IsJson(nested(kMaxJsonDepth)));
  EXPECT_FALSE(IsJson(nested(kMaxJsonDepth + 1)));
}

TEST(JsonScannerTest, TellsObjectsFromArraysAtEveryDepth) {
  std::string open;
  std::string close;
  for (int i = 0; i < 200; ++i) {
    open += i % 3 == 0 ? "[" : R"({"k":)";
    close.insert(0, i % 3 == 0 ? "]" : "}");
  }
  EXPECT_TRUE(IsJson(open + "1" + close));
  close.front() = close.front() == ']' ? '}' : ']';
  EXPECT_FALSE(IsJson(open + "1" + close));
}

TEST(JsonScannerTest, StepsThroughAnObject) {
  std::string unescaped;
  JsonScanner scanner(R"({"a":1, "b":[2]})", unescaped);
  std::string_view key;
  JsonValue value;
  bool more = false;
  ASSERT_TRUE(scanner.EnterObject());
  ASSERT_TRUE(scanner.NextKey(key, more) && more);
  EXPECT_EQ(key, "a");
  ASSERT_TRUE(scanner.ReadValue(value));
  EXPECT_EQ(value.text, "1");
  ASSERT_TRUE(scanner.NextKey(key, more) && more);
  EXPECT_EQ(key, "b");
  ASSERT_TRUE(scanner.ReadValue(value));
  EXPECT_EQ(value.type, JsonType::kArray);
  EXPECT_EQ(value.text, "[2]");
  ASSERT_TRUE(scanner.NextKey(key, more));
  EXPECT_FALSE(more);
  EXPECT_TRUE(scanner.AtEnd());
}

TEST(JsonScannerTest, KeepsTheRawFormOfAString) {
  std::string unescaped;
  unescaped.reserve(16);
  JsonScanner scanner(R"( "a\n" )", unescaped);
  JsonValue value;
  ASSERT_TRUE(scanner.ReadValue(value));
  EXPECT_EQ(value.raw, R"("a\n")");
  EXPECT_EQ(value.text, "a\n");
}

}  // namespace
}  // namespace apm::ipc
