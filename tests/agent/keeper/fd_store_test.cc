#include "agent/keeper/fd_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/unique_fd.h"
#include "tests/testing/status_matchers.h"

namespace apm::keeper {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::ElementsAre;

UniqueFd AnyFd() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(FdStoreTest, FindsWhatWasPut) {
  FdStore store;
  UniqueFd fd = AnyFd();
  const int number = fd.get();
  ASSERT_THAT(store.Put("a", std::move(fd)), IsOk());
  EXPECT_EQ(store.Find("a"), number);
  EXPECT_EQ(store.Find("b"), -1);
}

TEST(FdStoreTest, ListsItsNames) {
  FdStore store;
  ASSERT_THAT(store.Put("b", AnyFd()), IsOk());
  ASSERT_THAT(store.Put("a", AnyFd()), IsOk());
  EXPECT_THAT(store.Names(), ElementsAre("a", "b"));
}

TEST(FdStoreTest, ClosesWhatIsReplaced) {
  FdStore store;
  ASSERT_THAT(store.Put("a", AnyFd()), IsOk());
  const int first = store.Find("a");
  ASSERT_THAT(store.Put("a", AnyFd()), IsOk());
  EXPECT_NE(store.Find("a"), first);
  EXPECT_FALSE(IsOpen(first));
}

TEST(FdStoreTest, ClosesWhatIsDropped) {
  FdStore store;
  ASSERT_THAT(store.Put("a", AnyFd()), IsOk());
  const int fd = store.Find("a");
  store.Drop("a");
  store.Drop("a");
  EXPECT_EQ(store.Find("a"), -1);
  EXPECT_FALSE(IsOpen(fd));
}

TEST(FdStoreTest, AcceptsTheLongestNameAndRefusesALongerOne) {
  FdStore store;
  const std::string longest(FdStore::kMaxNameBytes, 'x');
  EXPECT_THAT(store.Put(longest, AnyFd()), IsOk());
  EXPECT_THAT(store.Put(longest + "x", AnyFd()),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(FdStoreTest, RefusesAnEmptyNameAndAnEmptyDescriptor) {
  FdStore store;
  EXPECT_THAT(store.Put("", AnyFd()),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(store.Put("a", UniqueFd()),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(FdStoreTest, RefusesOneMoreThanItsLimitButStillReplaces) {
  // One descriptor under many numbers would need that many of them from the
  // system; that the store closes a number that was never open harms nobody.
  constexpr int kNeverOpen = 500;
  FdStore store;
  for (size_t i = 0; i < FdStore::kMaxFds; ++i) {
    ASSERT_THAT(store.Put(std::to_string(i), UniqueFd(kNeverOpen)), IsOk());
  }
  EXPECT_THAT(store.Put("more", AnyFd()),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(store.Put("0", AnyFd()), IsOk());
}

}  // namespace
}  // namespace apm::keeper
