#include "ctl/table.h"

#include <gtest/gtest.h>

namespace apm::ctl {
namespace {

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell) {
  EXPECT_EQ(FormatTable({{{.text = "A"}, {.text = "N", .right = true}},
                         {{.text = "long"}, {.text = "100", .right = true}}},
                        /*colors=*/false),
            "A       N\n"
            "long  100\n");
}

TEST(TableTest, LinesHaveNoBlanksAtTheirEnd) {
  EXPECT_EQ(FormatTable({{{.text = "long"}, {.text = "long"}},
                         {{.text = "a"}, {.text = ""}}},
                        /*colors=*/false),
            "long  long\n"
            "a\n");
}

TEST(TableTest, ColorsTakeNoRoom) {
  EXPECT_EQ(
      FormatTable({{{.text = "ok", .color = Color::kGreen}, {.text = "x"}},
                   {{.text = "long"}, {.text = "y"}}},
                  /*colors=*/true),
      "\x1b[32mok\x1b[0m    x\n"
      "long  y\n");
}

TEST(TableTest, CountsCharactersNotBytes) {
  EXPECT_EQ(FormatTable({{{.text = "\xC3\xA9"}, {.text = "x"}},
                         {{.text = "e"}, {.text = "y"}}},
                        /*colors=*/false),
            "\xC3\xA9  x\n"
            "e  y\n");
}

TEST(TableTest, PairsWithoutAValueAreLeftOut) {
  EXPECT_EQ(FormatPairs({{"name", "web"}, {"user", ""}, {"a", "b"}}),
            "name  web\n"
            "a     b\n");
}

}  // namespace
}  // namespace apm::ctl
