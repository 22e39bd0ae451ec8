#include "proxy/upstream/log_frame.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace apm::upstream {
namespace {

using std::string_view_literals::operator""sv;

TEST(LogFrameTest, HasLevelMessageAndFields) {
  EXPECT_EQ(FormatLogLine("warning", "disk nearly full", R"({"free":12})"),
            "warning disk nearly full {\"free\":12}\n");
}

TEST(LogFrameTest, WithoutALevelItIsInfo) {
  EXPECT_EQ(FormatLogLine("", "ready", ""), "info ready\n");
}

TEST(LogFrameTest, AMessageCannotForgeALine) {
  EXPECT_EQ(FormatLogLine("in\nfo", "a\r\nerror b\t\x1b[31m\x7f", ""),
            "in\\nfo a\\r\\nerror b\\t\\x1B[31m\\x7F\n");
  EXPECT_EQ(FormatLogLine("info", "a\0b"sv, ""), "info a\\x00b\n");
}

TEST(LogFrameTest, TheWhiteSpaceOfFieldsStaysJson) {
  EXPECT_EQ(FormatLogLine("info", "m", "{\n\t\"a\": 1\n}"),
            "info m {  \"a\": 1 }\n");
}

TEST(LogFrameTest, OtherLanguagesStayAsTheyAre) {
  EXPECT_EQ(FormatLogLine("info", "grüße", ""), "info grüße\n");
}

}  // namespace
}  // namespace apm::upstream
