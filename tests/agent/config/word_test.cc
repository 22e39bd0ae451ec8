#include "agent/config/word.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace apm::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::optional<std::string> Variable(std::string_view name) {
  if (name == "HOME") return "/home/ann";
  return std::nullopt;
}

// The texts of `raw`; each problem as "!message".
std::vector<std::string> Read(std::string_view raw,
                              WordRules rules = WordRules::kConfig,
                              WordSplit split = WordSplit::kNone) {
  std::vector<WordProblem> problems;
  std::vector<std::string> texts;
  for (const WordPart& part :
       ReadWord(raw, rules, split, &Variable, problems)) {
    texts.push_back(part.text);
  }
  for (const WordProblem& problem : problems) {
    texts.push_back("!" + problem.message);
  }
  return texts;
}

TEST(ScanWordTest, EndsAtSpacesAndPunctuation) {
  for (const std::string_view text : {"ab cd", "ab;", "ab{", "ab}", "ab\n"}) {
    EXPECT_EQ(ScanWord(text).size, 2u) << text;
  }
}

TEST(ScanWordTest, GoesThroughQuotesEscapesAndBraces) {
  for (const std::string_view word :
       {"a\"b; c\"d", "'; {'", "\"\\\";\"", "${A:-b;c}", "a\\;b", "a#b"}) {
    EXPECT_EQ(ScanWord(std::string(word) + " next").size, word.size()) << word;
    EXPECT_FALSE(ScanWord(word).problem.has_value()) << word;
  }
}

TEST(ScanWordTest, AnUnclosedQuoteEndsBeforeTheLastSemicolonOfItsLine) {
  const WordExtent extent = ScanWord("x\"a;b;\nexec \"y\";");
  EXPECT_EQ(extent.size, 5u);
  ASSERT_TRUE(extent.problem.has_value());
  EXPECT_EQ(extent.problem->begin, 1u);
}

TEST(ReadWordTest, TakesQuotesAwayAndJoinsWhatTouches) {
  EXPECT_THAT(Read("a\"b c\"'d \\n'"), ElementsAre("ab cd \\n"));
}

TEST(ReadWordTest, BackslashMakesSpecialCharactersPlain) {
  EXPECT_THAT(Read("a\\;b\\ c\\$d"), ElementsAre("a;b c$d"));
  EXPECT_THAT(Read("\"\\\"\\\\\\n\""), ElementsAre("\"\\\n"));
  EXPECT_THAT(Read("\\d+"), ElementsAre("\\d+"));
}

TEST(ReadWordTest, ShellRulesTreatBackslashesAsAShellDoes) {
  EXPECT_THAT(Read("a\\bc", WordRules::kShell), ElementsAre("abc"));
  EXPECT_THAT(Read("\"console.log(\\\"x\\n\\\")\"", WordRules::kShell),
              ElementsAre("console.log(\"x\\n\")"));
}

TEST(ReadWordTest, SplitsAtUnquotedCommasAndDropsTheEmpty) {
  EXPECT_THAT(Read("a,\"b,c\",,d,", WordRules::kConfig, WordSplit::kAtCommas),
              ElementsAre("a", "b,c", "d"));
  EXPECT_THAT(Read(",", WordRules::kConfig, WordSplit::kAtCommas), IsEmpty());
  EXPECT_THAT(Read("\"\"", WordRules::kConfig, WordSplit::kAtCommas),
              ElementsAre(""));
}

TEST(ReadWordTest, ExpandsVariables) {
  EXPECT_THAT(Read("$HOME/bin:${HOME}x"),
              ElementsAre("/home/ann/bin:/home/annx"));
  EXPECT_THAT(Read("\"$HOME\"'$HOME'"), ElementsAre("/home/ann$HOME"));
  EXPECT_THAT(Read("${NONE:-a b}"), ElementsAre("a b"));
}

TEST(ReadWordTest, ADollarThatStartsNoNameIsItself) {
  EXPECT_THAT(Read("$$HOME"), ElementsAre("$HOME"));
  EXPECT_THAT(Read("end$"), ElementsAre("end$"));
  EXPECT_THAT(Read("$1"), ElementsAre("$1"));
}

TEST(ReadWordTest, NamesEveryVariableThatIsMissing) {
  EXPECT_THAT(Read("$A$B"), ElementsAre("!no value for the variable 'A'",
                                        "!no value for the variable 'B'"));
}

TEST(ReadWordTest, ExpansionCannotGrowWithoutEnd) {
  std::string raw;
  while (raw.size() < size_t{200} << 10) raw += "$HOME";
  std::vector<WordProblem> problems;
  EXPECT_THAT(
      ReadWord(raw, WordRules::kConfig, WordSplit::kNone, &Variable, problems),
      IsEmpty());
  EXPECT_EQ(problems.size(), 1u);
}

}  // namespace
}  // namespace apm::config
