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
