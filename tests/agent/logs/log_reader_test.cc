#include "agent/logs/log_reader.h"

#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/agent/logs/temp_folder.h"
#include "tests/testing/status_matchers.h"

namespace apm::logs {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LogReaderTest : public ::testing::Test {
 protected:
  void Write(std::string_view raw) {
    std::ofstream(path_, std::ios::app | std::ios::binary) << raw;
  }
  void Line(Stream stream, uint32_t instance, std::string text) {
    Write(FormatLine({time_, stream, instance, std::move(text)}));
    time_ += absl::Microseconds(1);
  }
  std::vector<std::string> Last(size_t count, const LogFilter& filter = {}) {
    const auto lines = ReadLast(path_, {.count = count, .filter = filter});
    EXPECT_THAT(lines, IsOk());
    std::vector<std::string> texts;
    for (const LogLine& line : *lines) texts.push_back(line.text);
    return texts;
  }

  const TempFolder folder_;
  const std::string path_ = folder_ / "web.log";
  absl::Time time_ = absl::FromUnixSeconds(1'790'000'000);
};

TEST_F(LogReaderTest, ReturnsTheLastLinesOldestFirst) {
  for (const char* text : {"one", "two", "three"}) Line(Stream::kOut, 0, text);
  EXPECT_THAT(Last(2), ElementsAre("two", "three"));
  EXPECT_THAT(Last(9), ElementsAre("one", "two", "three"));
  EXPECT_THAT(Last(0), IsEmpty());
}

TEST_F(LogReaderTest, AnEmptyFileHasNoLines) {
  Write("");
  EXPECT_THAT(Last(5), IsEmpty());
}

TEST_F(LogReaderTest, FiltersByStreamInstanceAndText) {
  Line(Stream::kOut, 0, "hello");
  Line(Stream::kErr, 0, "error: hello");
  Line(Stream::kErr, 1, "error: world");
  EXPECT_THAT(Last(9, {.stream = Stream::kErr}),
              ElementsAre("error: hello", "error: world"));
  EXPECT_THAT(Last(9, {.instances = {0}}),
              ElementsAre("hello", "error: hello"));
  EXPECT_THAT(Last(9, {.contains = "hello"}),
              ElementsAre("hello", "error: hello"));
  EXPECT_THAT(Last(1, {.instances = {0}, .stream = Stream::kOut}),
              ElementsAre("hello"));
}

TEST_F(LogReaderTest, TheSearchedTextIsNotFoundInThePrefix) {
  Line(Stream::kErr, 0, "hello");
  EXPECT_THAT(Last(9, {.contains = "err"}), IsEmpty());
}

TEST_F(LogReaderTest, SkipsForeignAndTornLines) {
  Line(Stream::kOut, 0, "one");
  Write("somebody else wrote this\n\n2026-11-2");
  Write("\n");
  Line(Stream::kOut, 0, "two");
  EXPECT_THAT(Last(9), ElementsAre("one", "two"));
}

TEST_F(LogReaderTest, ALineInTheMakingIsNotOneYet) {
  Line(Stream::kOut, 0, "one");
  const std::string line = FormatLine({time_, Stream::kOut, 0, "two"});
  Write(line.substr(0, line.size() - 1));
  EXPECT_THAT(Last(9), ElementsAre("one"));
  Write("\n");
  EXPECT_THAT(Last(9), ElementsAre("one", "two"));
}

TEST_F(LogReaderTest, AnEndlessForeignLineIsSkippedWhole) {
  Line(Stream::kOut, 0, "one");
  // Its beginning looks like ours, but what is there was never a line of ours.
  Write(FormatPrefix(time_, Stream::kOut, 0) + std::string(1 << 20, 'x') +
        "\n");
  Line(Stream::kOut, 0, "two");
  EXPECT_THAT(Last(9), ElementsAre("one", "two"));
}

TEST_F(LogReaderTest, AnEndlessLineAtTheStartIsSkippedToo) {
  Write(FormatPrefix(time_, Stream::kOut, 0) + std::string(1 << 20, 'x') +
        "\n");
  Line(Stream::kOut, 0, "two");
  EXPECT_THAT(Last(9), ElementsAre("two"));
}

TEST_F(LogReaderTest, ReadsALineOfTheLimit) {
  Line(Stream::kOut, 0, std::string(kMaxLineBytes, 'x'));
  EXPECT_THAT(Last(1), ElementsAre(std::string(kMaxLineBytes, 'x')));
}

// Lines of all lengths, so that block borders fall everywhere; the oracle is
// the list itself.
TEST_F(LogReaderTest, NoLineIsLostAtABlockBorder) {
  std::mt19937 random(7);
  std::vector<std::string> all;
  for (int i = 0; i < 3000; ++i) {
    all.push_back(std::to_string(i) + std::string(random() % 700, '.'));
    Line(Stream::kOut, 0, all.back());
  }
  EXPECT_EQ(Last(3000), all);
  EXPECT_EQ(Last(1234), std::vector<std::string>(all.end() - 1234, all.end()));
}

TEST_F(LogReaderTest, ReturnsAtMostTenThousandLines) {
  std::string text;
  for (size_t i = 0; i < kMaxReadLines + 1; ++i) {
    text += FormatLine({time_, Stream::kOut, 0, std::to_string(i)});
  }
  Write(text);
  const std::vector<std::string> lines = Last(1'000'000);
  EXPECT_EQ(lines.size(), kMaxReadLines);
  EXPECT_EQ(lines.front(), "1");
}

TEST_F(LogReaderTest, ReturnsAtMostItsBytes) {
  const size_t fit = kMaxReadBytes / kMaxLineBytes;
  for (size_t i = 0; i < fit + 1; ++i) {
    Line(Stream::kOut, 0, std::string(kMaxLineBytes, 'x'));
  }
  EXPECT_EQ(Last(1'000).size(), fit);
}

TEST_F(LogReaderTest, GoesOnIntoRotatedFiles) {
  for (const char* text : {"one", "two"}) Line(Stream::kOut, 0, text);
  std::filesystem::rename(path_, path_ + ".2");
  Line(Stream::kOut, 0, "three");
  std::filesystem::rename(path_, path_ + ".1");
  Line(Stream::kOut, 0, "four");
  EXPECT_THAT(Last(3), ElementsAre("two", "three", "four"));
  EXPECT_THAT(Last(9), ElementsAre("one", "two", "three", "four"));
}

TEST_F(LogReaderTest, ANameThatARotationLeftEmptyHidesNothing) {
  Line(Stream::kOut, 0, "one");
  std::filesystem::rename(path_, path_ + ".1");
  EXPECT_THAT(Last(9), ElementsAre("one"));
  std::filesystem::rename(path_ + ".1", path_ + ".2");
  Line(Stream::kOut, 0, "two");
  EXPECT_THAT(Last(9), ElementsAre("one", "two"));
}

TEST_F(LogReaderTest, StartsAtATime) {
  const absl::Time start = time_;
  for (const char* text : {"one", "two"}) Line(Stream::kOut, 0, text);
  std::filesystem::rename(path_, path_ + ".1");
  Line(Stream::kOut, 0, "three");
  const auto lines =
      ReadLast(path_, {.count = 9, .since = start + absl::Microseconds(1)});
  ASSERT_THAT(lines, IsOk());
  ASSERT_EQ(lines->size(), 2U);
  EXPECT_EQ(lines->front().text, "two");
}

TEST_F(LogReaderTest, MatchesTheTextAlone) {
  Line(Stream::kErr, 0, "hello");
  EXPECT_THAT(
      Last(9,
           {.matches = [](std::string_view text) { return text == "hello"; }}),
      ElementsAre("hello"));
}

TEST_F(LogReaderTest, ReadsBothFormats) {
  const LogLine line{time_, Stream::kErr, 1, "a \"b\""};
  Write(FormatLine(line, LineFormat::kJson));
  Line(Stream::kOut, 0, "two");
  EXPECT_THAT(Last(9), ElementsAre("a \"b\"", "two"));
  EXPECT_THAT(Last(9, {.contains = "\"b"}), ElementsAre("a \"b\""));
}

TEST_F(LogReaderTest, AMissingFileIsNotFound) {
  EXPECT_THAT(ReadLast(path_, {.count = 1}),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(LogReaderTest, AFolderIsNoLog) {
  std::filesystem::create_directory(path_);
  EXPECT_THAT(ReadLast(path_, {.count = 1}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

}  // namespace
}  // namespace apm::logs
