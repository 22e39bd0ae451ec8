#include "ipc/json_writer.h"

#include <cstddef>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace apm::ipc {
namespace {

using std::string_view_literals::operator""sv;

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(text, out);
  return out;
}

TEST(AppendJsonStringTest, QuotesPlainText) {
  EXPECT_EQ(Quoted("text/html; charset=utf-8"),
            R"("text/html; charset=utf-8")");
}

TEST(AppendJsonStringTest, AppendsBehindWhatIsThere) {
  std::string out = "{";
  AppendJsonString("a", out);
  EXPECT_EQ(out, R"({"a")");
}

TEST(AppendJsonStringTest, EscapesQuotesAndBackslashes) {
  EXPECT_EQ(Quoted(R"(a"b\c)"), R"("a\"b\\c")");
}

TEST(AppendJsonStringTest, NeverWritesARawControlCharacter) {
  for (int c = 0; c < 0x20; ++c) {
    for (const char written : Quoted(std::string(3, static_cast<char>(c)))) {
      EXPECT_GE(written, 0x20) << c;
    }
  }
  EXPECT_EQ(Quoted("\x03\x05\n\r\t\0\x1f"sv),
            R"("\u0003\u0005\n\r\t\u0000\u001f")");
}

TEST(AppendJsonStringTest, KeepsValidUtf8) {
  EXPECT_EQ(Quoted("h\xC3\xA9 \xF0\x9F\x98\x80"),
            "\"h\xC3\xA9 \xF0\x9F\x98\x80\"");
}

TEST(AppendJsonStringTest, ReplacesWhatIsNoUtf8) {
  EXPECT_EQ(Quoted("a\xFFz"), "\"a\xEF\xBF\xBDz\"");
  EXPECT_EQ(Quoted("a\xE2\x82z"), "\"a\xEF\xBF\xBDz\"");
}

TEST(AppendJsonStringTest, EscapesBehindALongPlainStart) {
  EXPECT_EQ(Quoted(std::string(100, 'x') + "\""),
            '"' + std::string(100, 'x') + R"(\"")");
}

TEST(JsonWriterTest, WritesTextThatIsNowhere) {
  std::string out;
  JsonWriter json(out);
  json.Quoted(std::string_view());
  json.Flush();
  EXPECT_EQ(out, R"("")");
}

TEST(JsonWriterTest, KeepsTheOrderOfPiecesOfAnySize) {
  std::string out = "before";
  std::string expected = out;
  JsonWriter json(out);
  for (size_t size = 0; size < 3000; size += 37) {
    const std::string piece(size, static_cast<char>('a' + size % 26));
    json.Raw(piece);
    json.Quoted(piece + '\n');
    expected += piece + '"' + piece + "\\n\"";
  }
  json.Flush();
  EXPECT_EQ(out, expected);
}

TEST(JsonWriterTest, WritesLowerCaseAroundWhatItEscapes) {
  std::string out;
  JsonWriter json(out);
  json.EscapedLower("X-Long-Enough-For-A-Step\"AND-MORE\xFF[Z]");
  json.EscapedLower(std::string(2000, 'A'));
  json.Flush();
  EXPECT_EQ(out, "x-long-enough-for-a-step\\\"and-more\xEF\xBF\xBD[z]" +
                     std::string(2000, 'a'));
}

}  // namespace
}  // namespace apm::ipc
