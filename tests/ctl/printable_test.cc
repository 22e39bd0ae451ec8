#include "ctl/printable.h"

#include <gtest/gtest.h>

namespace apm::ctl {
namespace {

TEST(PrintableTest, LeavesTextTabsAndNewlinesAlone) {
  EXPECT_EQ(Printable("a\tb\nc \xC3\xA9 \xE2\x82\xAC"),
            "a\tb\nc \xC3\xA9 \xE2\x82\xAC");
}

TEST(PrintableTest, ShowsWhatWouldMoveTheCursor) {
  EXPECT_EQ(Printable("\x1b[2J\r\b\x7f"), "\\x1b[2J\\x0d\\x08\\x7f");
}

TEST(PrintableTest, ShowsTheControlsOfTheUpperHalf) {
  EXPECT_EQ(Printable("\xC2\x9B"), "\\x9b");     // CSI
  EXPECT_EQ(Printable("\xC2\xA0"), "\xC2\xA0");  // A space.
}

}  // namespace
}  // namespace apm::ctl
