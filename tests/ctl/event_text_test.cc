#include "ctl/event_text.h"

#include <algorithm>
#include <string>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace apm::ctl {
namespace {

using ::testing::HasSubstr;

v1::Event StateChange() {
  v1::Event event;
  event.set_time_unix_us(1'795'262'401'500'999);
  event.set_type("worker.state");
  event.set_severity("info");
  event.set_worker("web");
  event.set_generation(1);
  event.set_from_state("starting");
  event.set_to_state("ready");
  return event;
}

std::string Text(const v1::Event& event, bool colors = false) {
  return EventText(event, absl::FixedTimeZone(3600), colors);
}

TEST(EventTextTest, TimeIsOfTheZoneInMilliseconds) {
  EXPECT_EQ(Text(StateChange()),
            "2026-11-21T13:00:01.500+01:00 I web/0 starting -> ready\n");
}

TEST(EventTextTest, AnEventOfTheWholeWorkerNamesNoInstance) {
  v1::Event event = StateChange();
  event.set_generation(0);
  EXPECT_THAT(Text(event), HasSubstr(" I web starting"));
}

TEST(EventTextTest, WithoutStatesThereIsTheType) {
  v1::Event event;
  event.set_type("proxy.exited");
  event.set_severity("error");
  event.set_text("killed by SIGKILL");
  EXPECT_THAT(Text(event), HasSubstr(" E - proxy.exited: killed by SIGKILL\n"));
}

TEST(EventTextTest, SeverityAndStatesHaveColors) {
  v1::Event event = StateChange();
  event.set_severity("warning");
  EXPECT_THAT(Text(event, /*colors=*/true),
              HasSubstr(" \x1b[33mW\x1b[0m web/0 \x1b[33mstarting\x1b[0m -> "
                        "\x1b[32mready\x1b[0m\n"));
}

TEST(EventTextTest, ASeverityOfTheFutureIsNoReasonToFail) {
  v1::Event event = StateChange();
  event.set_severity("fatal");
  EXPECT_THAT(Text(event), HasSubstr(" ? web/0 "));
}

TEST(EventTextTest, ShowsTheWholeTailIfItIsShort) {
  v1::Event event = StateChange();
  for (int i = 0; i < kMaxTailLinesShown; ++i) event.add_stderr_tail("x");
  EXPECT_THAT(Text(event), HasSubstr("ready\n    | x\n"));
  event.add_stderr_tail("last");
  EXPECT_THAT(Text(event), HasSubstr("ready\n    | (earlier lines: 1; "));
}

TEST(EventTextTest, NothingOfAnEventCanForgeALine) {
  v1::Event event = StateChange();
  for (std::string* text : {event.mutable_worker(), event.mutable_to_state(),
                            event.mutable_text(), event.add_stderr_tail()}) {
    *text = "a\n2026 I b\r\x1b[2K";
  }
  const std::string shown = Text(event);
  EXPECT_EQ(std::count(shown.begin(), shown.end(), '\n'), 2);
  EXPECT_EQ(shown.find('\x1b'), std::string::npos);
  EXPECT_EQ(shown.find('\r'), std::string::npos);
}

}  // namespace
}  // namespace apm::ctl
