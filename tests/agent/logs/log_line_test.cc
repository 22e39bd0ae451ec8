#include "agent/logs/log_line.h"

#include <optional>
#include <string>

#include <absl/time/time.h>
#include <gtest/gtest.h>

namespace apm::logs {
namespace {

constexpr char kExample[] =
    "2026-11-21T12:00:00.123456Z err 0 listening on port 3000";

TEST(LogLineTest, ReadsTheExample) {
  const std::optional<LogLine> line = ParseLine(kExample);
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->time,
            absl::FromCivil(absl::CivilSecond(2026, 11, 21, 12, 0, 0),
                            absl::UTCTimeZone()) +
                absl::Microseconds(123456));
  EXPECT_EQ(line->stream, Stream::kErr);
  EXPECT_EQ(line->instance, 0U);
  EXPECT_EQ(line->text, "listening on port 3000");
}

TEST(LogLineTest, WritesWhatItReads) {
  EXPECT_EQ(FormatLine(*ParseLine(kExample)), std::string(kExample) + "\n");
}

TEST(LogLineTest, ReadsWhatItWrites) {
  const LogLine line{absl::FromUnixMicros(1'790'000'000'000'007), Stream::kOut,
                     4'294'967'295,
                     std::string("\x1b[31m  \0\xff\r tail ", 15)};
  const std::string text = FormatLine(line);
  EXPECT_EQ(ParseLine(text.substr(0, text.size() - 1)), line);
}

TEST(LogLineTest, ReadsTheExampleInJson) {
  const std::string json =
      R"({"time":"2026-11-21T12:00:00.123456Z","stream":"err","instance":0,)"
      R"("text":"listening on port 3000"})";
  EXPECT_EQ(ParseLine(json), ParseLine(kExample));
  EXPECT_EQ(FormatLine(*ParseLine(kExample), LineFormat::kJson), json + "\n");
}

TEST(LogLineTest, ReadsTheJsonThatItWrites) {
  const LogLine line{absl::FromUnixMicros(1'790'000'000'000'007), Stream::kOut,
                     4'294'967'295,
                     std::string("\x1b[31m  \0\r\t\\\"} \xC3\xA4 ", 18)};
  const std::string text = FormatLine(line, LineFormat::kJson);
  EXPECT_EQ(ParseLine(text.substr(0, text.size() - 1)), line);
}

TEST(LogLineTest, JsonIsAlwaysUtf8) {
  const std::string text = FormatLine(
      {absl::UnixEpoch(), Stream::kOut, 0, "a\xFFz"}, LineFormat::kJson);
  EXPECT_TRUE(text.ends_with("\"a\xEF\xBF\xBDz\"}\n")) << text;
}

TEST(LogLineTest, TheLongestLineInJsonIsBounded) {
  EXPECT_LE(FormatLine({absl::UnixEpoch(), Stream::kErr, 4'294'967'295,
                        std::string(kMaxLineBytes, '\1')},
                       LineFormat::kJson)
                .size(),
            kMaxStoredLineBytes);
}

TEST(LogLineTest, RefusesJsonThatIsNotOurs) {
  for (
      const char* line :
      {R"({})", R"({"time":"2026-11-21T12:00:00.123456Z"})",
       R"({"time":"2026-11-21T12:00:00.123456Z","stream":"err","instance":0,"text":"})",
       R"({"time":"2026-11-21T12:00:00.123456Z","stream":"err","instance":0,"text":"a"b"})",
       R"({"time":"2026-11-21T12:00:00.123456Z","stream":"err","instance":0,"text":"\n"})",
       R"({"time":"2026-11-21T12:00:00.123456Z","stream":"err","instance":0,"text":"\u0020"})",
       R"({"time":"2026-11-21T12:00:00.123456Z","stream":"err","instance":0,"text":"\u000a"})",
       R"({"time":"2026-11-21T12:00:00.123456Z","stream":"err","instance":0,"text":"\"})",
       R"({"time":"2026-11-21 12:00:00.123456Z","stream":"err","instance":0,"text":""})"}) {
    EXPECT_EQ(ParseLine(line), std::nullopt) << line;
  }
}

TEST(LogLineTest, TheTimeIsSeenInTheBeginningOfALine) {
  const std::string text(kExample);
  EXPECT_EQ(ParseTime(text.substr(0, kTimeEnd)), ParseLine(text)->time);
  EXPECT_EQ(TimestampOf(text), "2026-11-21T12:00:00.123456Z");
  const std::string json = FormatLine(*ParseLine(text), LineFormat::kJson);
  EXPECT_EQ(ParseTime(json.substr(0, kTimeEnd)), ParseLine(text)->time);
  EXPECT_EQ(ParseTime("panic: no prefix"), std::nullopt);
}

TEST(LogLineTest, AnEmptyTextIsALine) {
  const std::optional<LogLine> line =
      ParseLine("2026-11-21T12:00:00.123456Z out 3 ");
  ASSERT_TRUE(line.has_value());
  EXPECT_EQ(line->text, "");
}

TEST(LogLineTest, RefusesWhatIsNotOurs) {
  for (const char* line :
       {"", "panic: no prefix", "2026-11-21T12:00:00.123456Z err 0",
        "2026-11-21T12:00:00.123456Z warn 0 x",
        "2026-11-21T12:00:00.123456Z err -1 x",
        "2026-11-21T12:00:00.123456Z err 4294967296 x",
        "2026-11-21T12:00:00.123456Z err  x",
        "0926-11-21T12:00:00.123456Z err 0 x",
        "2026-13-21T12:00:00.123456Z err 0 x",
        "2026-11-21T12:00:00.12345Z err 0 x",
        "2026-11-21 12:00:00.123456Z err 0 x",
        " 2026-11-21T12:00:00.123456Z err 0 x",
        "6-11-21T12:00:00.123456Z err 0 the rest of a torn line"}) {
    EXPECT_EQ(ParseLine(line), std::nullopt) << line;
  }
}

}  // namespace
}  // namespace apm::logs
