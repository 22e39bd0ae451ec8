#include "agent/keeper/note_store.h"

#include <cstddef>
#include <string>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/testing/status_matchers.h"

namespace apm::keeper {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(NoteStoreTest, KeepsBytesByName) {
  NoteStore store;
  const std::string bytes("\0\xff", 2);
  ASSERT_THAT(store.Put("b", bytes), IsOk());
  ASSERT_THAT(store.Put("a", ""), IsOk());
  EXPECT_THAT(store.notes(), ElementsAre(Pair("a", ""), Pair("b", bytes)));
}

TEST(NoteStoreTest, ANoteReplacesTheOneOfItsName) {
  NoteStore store;
  ASSERT_THAT(store.Put("a", "1"), IsOk());
  ASSERT_THAT(store.Put("a", "2"), IsOk());
  EXPECT_THAT(store.notes(), ElementsAre(Pair("a", "2")));
}

TEST(NoteStoreTest, ForgetsWhatIsDropped) {
  NoteStore store;
  ASSERT_THAT(store.Put("a", "1"), IsOk());
  store.Drop("a");
  store.Drop("a");
  EXPECT_THAT(store.notes(), IsEmpty());
}

TEST(NoteStoreTest, AcceptsTheLongestNameAndRefusesALongerOne) {
  NoteStore store;
  const std::string longest(NoteStore::kMaxNameBytes, 'x');
  EXPECT_THAT(store.Put(longest, ""), IsOk());
  EXPECT_THAT(store.Put(longest + "x", ""),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(store.Put("", ""), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(NoteStoreTest, AcceptsTheLongestValueAndRefusesALongerOne) {
  NoteStore store;
  const std::string longest(NoteStore::kMaxValueBytes, 'x');
  EXPECT_THAT(store.Put("a", longest), IsOk());
  EXPECT_THAT(store.Put("a", longest + "x"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(store.notes(), ElementsAre(Pair("a", longest)));
}

TEST(NoteStoreTest, RefusesOneMoreThanItsLimitButStillReplaces) {
  NoteStore store;
  for (size_t i = 0; i < NoteStore::kMaxNotes; ++i) {
    ASSERT_THAT(store.Put(std::to_string(i), ""), IsOk());
  }
  EXPECT_THAT(store.Put("more", ""),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(store.Put("0", "x"), IsOk());
}

TEST(NoteStoreTest, RefusesMoreBytesThanItsLimitUntilSomeAreDropped) {
  NoteStore store;
  const std::string value(NoteStore::kMaxValueBytes, 'x');
  size_t count = 0;
  while (store.Put(std::to_string(count), value).ok()) ++count;
  EXPECT_EQ(count, NoteStore::kMaxTotalBytes / NoteStore::kMaxValueBytes - 1);
  store.Drop("0");
  EXPECT_THAT(store.Put("more", value), IsOk());
  EXPECT_THAT(store.Put("more still", value),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(store.Put("1", value), IsOk());
}

}  // namespace
}  // namespace apm::keeper
