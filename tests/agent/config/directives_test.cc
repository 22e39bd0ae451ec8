#include "agent/config/directives.h"

#include <set>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

namespace apm::config {
namespace {

TEST(DirectivesTest, EachNameIsOnceInItsBlockAndHasHelp) {
  std::set<std::pair<Context, std::string_view>> seen;
  for (const DirectiveSpec& spec : AllDirectives()) {
    EXPECT_TRUE(seen.emplace(spec.context, spec.name).second) << spec.name;
    EXPECT_FALSE(spec.help.empty()) << spec.name;
    EXPECT_FALSE(spec.values.empty()) << spec.name;
  }
}

TEST(DirectivesTest, WhatHasAVersionIsExactlyWhatIsNotPlanned) {
  for (const DirectiveSpec& spec : AllDirectives()) {
    EXPECT_EQ(spec.target == Target(Special::kPlanned), spec.since.empty())
        << spec.name;
  }
}

TEST(SuggestDirectiveTest, FindsTypingErrorsInTheSameBlock) {
  EXPECT_EQ(SuggestDirective(Context::kWorker, "trust_proxi"),
            "did you mean 'trust_proxy'?");
  EXPECT_EQ(SuggestDirective(Context::kWorker, "sevrer"),
            "did you mean 'server'?");
  EXPECT_EQ(SuggestDirective(Context::kWorker, "zzzzzz"), "");
}

TEST(SuggestDirectiveTest, KnowsTheBlockWhereANameBelongs) {
  EXPECT_EQ(SuggestDirective(Context::kWorker, "allow_group"),
            "it belongs in daemon { }");
}

}  // namespace
}  // namespace apm::config
