#include "ctl/log_text.h"

#include <string>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace apm::ctl {
namespace {

using ::testing::HasSubstr;

v1::LogLine Line(const std::string& worker, const std::string& text,
                 const std::string& stream = "out") {
  v1::LogLine line;
  line.set_time_unix_us(1'795'262'401'500'999);
  line.set_worker(worker);
  line.set_stream(stream);
  line.set_text(text);
  return line;
}

TEST(LogTextTest, NamesAreAlignedAsFarAsTheyAreKnown) {
  LogFormatter formatter({});
  EXPECT_EQ(formatter.Format(Line("web", "a")), "web/0 out | a\n");
  EXPECT_EQ(formatter.Format(Line("mailer", "b", "err")), "mailer/0 err | b\n");
  EXPECT_EQ(formatter.Format(Line("web", "c")), "web/0    out | c\n");
}

TEST(LogTextTest, AnEndlessNamePushesOnlyItsOwnLine) {
  LogFormatter formatter({});
  formatter.Widen(Line(std::string(63, 'x'), ""));
  EXPECT_EQ(formatter.Format(Line("web", "a")),
            "web/0" + std::string(19, ' ') + " out | a\n");
}

TEST(LogTextTest, TimeIsOfTheZoneInMilliseconds) {
  LogFormatter formatter(
      {.timestamps = true, .zone = absl::FixedTimeZone(3600)});
  EXPECT_EQ(formatter.Format(Line("web", "a")),
            "2026-11-21T13:00:01.500+01:00 web/0 out | a\n");
}

TEST(LogTextTest, AWorkerKeepsItsColorAndErrIsRed) {
  LogFormatter formatter({.colors = true});
  const std::string first = formatter.Format(Line("web", "a", "err"));
  EXPECT_THAT(first, HasSubstr("\x1b[31merr\x1b[0m | a\n"));
  const std::string name = first.substr(0, first.find(' '));
  EXPECT_THAT(name, HasSubstr("web/0\x1b[0m"));
  EXPECT_EQ(LogFormatter({.colors = true}).Format(Line("web", "b")),
            name + " out | b\n");
}

TEST(LogTextTest, RawIsTheTextAlone) {
  EXPECT_EQ(LogFormatter({.raw = true}).Format(Line("web", "a\x1b[2J")),
            "a\x1b[2J\n");
}

TEST(LogTextTest, ATerminalGetsNoControlCharactersNotEvenRaw) {
  for (const bool raw : {false, true}) {
    LogFormatter formatter({.raw = raw, .to_terminal = true});
    EXPECT_THAT(formatter.Format(Line("web", "a\x1b[2J\r")),
                HasSubstr("a\\x1b[2J\\x0d\n"));
  }
}

}  // namespace
}  // namespace apm::ctl
