#include "agent/logs/line_splitter.h"

#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/logs/log_line.h"

namespace apm::logs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LineSplitterTest : public ::testing::Test {
 protected:
  void Append(std::string_view bytes) { splitter_.Append(bytes, Collect()); }
  void Finish() { splitter_.Finish(Collect()); }
  LineSplitter::Sink Collect() {
    return [this](std::string_view line) { lines_.emplace_back(line); };
  }

  LineSplitter splitter_;
  std::vector<std::string> lines_;
};

TEST_F(LineSplitterTest, CutsAtNewlines) {
  Append("one\n\nthree\n");
  EXPECT_THAT(lines_, ElementsAre("one", "", "three"));
}

TEST_F(LineSplitterTest, JoinsWhatWasReadInPieces) {
  for (const char byte : std::string("one\ntwo\n")) Append({&byte, 1});
  EXPECT_THAT(lines_, ElementsAre("one", "two"));
}

TEST_F(LineSplitterTest, WaitsForTheNewline) {
  Append("one\ntw");
  EXPECT_THAT(lines_, ElementsAre("one"));
}

TEST_F(LineSplitterTest, TheEndOfTheStreamEndsALine) {
  Append("tail");
  Finish();
  EXPECT_THAT(lines_, ElementsAre("tail"));
}

TEST_F(LineSplitterTest, NothingIsLeftAfterANewline) {
  Append("one\n");
  Finish();
  EXPECT_THAT(lines_, ElementsAre("one"));
}

TEST_F(LineSplitterTest, ALineOfTheLimitIsOneLine) {
  const std::string longest(kMaxLineBytes, 'x');
  Append(longest + "\n");
  EXPECT_THAT(lines_, ElementsAre(longest));
}

TEST_F(LineSplitterTest, OneByteMoreIsASecondLine) {
  const std::string longest(kMaxLineBytes, 'x');
  Append(longest);
  EXPECT_THAT(lines_, IsEmpty());
  Append("y\nz\n");
  EXPECT_THAT(lines_, ElementsAre(longest, "y", "z"));
}

TEST_F(LineSplitterTest, NoByteOfAnEndlessLineIsLost) {
  Append("a" + std::string(3 * kMaxLineBytes, 'x'));
  Append(std::string(kMaxLineBytes, 'x') + "b");
  Finish();
  std::string joined;
  for (const std::string& line : lines_) {
    EXPECT_LE(line.size(), kMaxLineBytes);
    joined += line;
  }
  EXPECT_EQ(joined, "a" + std::string(4 * kMaxLineBytes, 'x') + "b");
}

}  // namespace
}  // namespace apm::logs
