// The rules are data: pipe_frames_test.cc. Here are order, lifetime and cost.

#include "ipc/url_parts.h"

#include <cstddef>
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace apm::ipc {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

TEST(UrlPartsTest, RepeatedNamesMoveToTheFirstOfThem) {
  UrlParts parts;
  EXPECT_THAT(parts.ParseQuery("z=1&a=2&z=3&b=4&a=5"),
              ElementsAre(Field{"z", "1"}, Field{"z", "3"}, Field{"a", "2"},
                          Field{"a", "5"}, Field{"b", "4"}));
}

TEST(UrlPartsTest, NamesAreComparedDecoded) {
  UrlParts parts;
  EXPECT_THAT(parts.ParseQuery("a%62=1&c=2&ab=3"),
              ElementsAre(Field{"ab", "1"}, Field{"ab", "3"}, Field{"c", "2"}));
}

TEST(UrlPartsTest, CookiesKeepTheirOrder) {
  UrlParts parts;
  EXPECT_THAT(parts.ParseCookies("z=1; a=2; z=3; b=4"),
              ElementsAre(Field{"z", "1"}, Field{"a", "2"}, Field{"b", "4"}));
}

TEST(UrlPartsTest, DecodedPartsStayWhileMoreAreDecoded) {
  UrlParts parts;
  std::string query;
  for (int i = 0; i < 1000; ++i) query += "%61%62=%63%64&";
  for (const Field& field : parts.ParseQuery(query)) {
    EXPECT_EQ(field, (Field{"ab", "cd"}));
  }
}

// Takes minutes when all pairs of names are compared.
TEST(UrlPartsTest, ManyParametersCostLittle) {
  UrlParts parts;
  std::string query;
  for (int i = 0; i < 100'000; ++i) {
    query += "name" + std::to_string(i % 50'000) + "=v&";
  }
  EXPECT_THAT(parts.ParseQuery(query), SizeIs(100'000));
}

TEST(AppendPercentDecodedTest, LeavesCutEscapesAlone) {
  std::string out;
  AppendPercentDecoded("%4%41%", /*plus_is_space=*/false, out);
  EXPECT_EQ(out, "%4A%");
}

TEST(AppendPercentDecodedTest, PlusIsASpaceOnlyWhereAsked) {
  std::string out;
  AppendPercentDecoded("a+b", /*plus_is_space=*/false, out);
  AppendPercentDecoded("+c", /*plus_is_space=*/true, out);
  EXPECT_EQ(out, "a+b c");
}

}  // namespace
}  // namespace apm::ipc
