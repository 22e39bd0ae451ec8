#include <gtest/gtest.h>

#include "agent/control/utf8.h"

namespace apm::control {
namespace {

TEST(Utf8Test, LeavesWellFormedTextAlone) {
  for (const char* text :
       {"", "plain", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80",
        "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF", "\xEE\x80\x80"}) {
    EXPECT_EQ(ToUtf8(text), text);
  }
}

TEST(Utf8Test, ReplacesWhatIsNoPartOfACharacter) {
  EXPECT_EQ(ToUtf8("a\xFF"
                   "b"),
            "a\xEF\xBF\xBD"
            "b");
  EXPECT_EQ(ToUtf8("\xE2\x82"), "\xEF\xBF\xBD");  // Cut off.
}

TEST(Utf8Test, RefusesOverlongFormsSurrogatesAndWhatIsBeyondUnicode) {
  for (const char* text :
       {"\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80"}) {
    EXPECT_EQ(ToUtf8(text).substr(0, 3), "\xEF\xBF\xBD") << text;
  }
}

}  // namespace
}  // namespace apm::control
