#include "base/os/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <gtest/gtest.h>

#include "base/os/unique_fd.h"
#include "tests/testing/status_matchers.h"

namespace apm {
namespace {

using ::apm::testing::StatusIs;

UniqueFd Duplicate(int fd) { return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

TEST(SharedMemoryTest, WhatOneWritesTheOtherReads) {
  const SharedMemory ours = SharedMemory::Create("test", 10'000).value();
  const SharedMemory theirs =
      SharedMemory::Map(Duplicate(ours.fd()), 10'000).value();
  ours.data()[9'999] = 'x';
  EXPECT_EQ(theirs.data()[9'999], 'x');
  EXPECT_EQ(theirs.size(), 10'000U);
}

TEST(SharedMemoryTest, CannotBeResizedByAnyone) {
  const SharedMemory memory = SharedMemory::Create("test", 4096).value();
  EXPECT_NE(ftruncate(memory.fd(), 1), 0);
  EXPECT_NE(ftruncate(memory.fd(), 1 << 20), 0);
}

TEST(SharedMemoryTest, RefusesWhatIsTooSmall) {
  const SharedMemory memory = SharedMemory::Create("test", 4096).value();
  EXPECT_TRUE(SharedMemory::Map(Duplicate(memory.fd()), 4096).ok());
  EXPECT_THAT(SharedMemory::Map(Duplicate(memory.fd()), 4097),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(SharedMemoryTest, RefusesWhatMayShrink) {
  UniqueFd fd(memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(ftruncate(fd.get(), 4096), 0);
  EXPECT_THAT(SharedMemory::Map(std::move(fd), 4096),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(SharedMemoryTest, KnowsItselfByAnyDescriptor) {
  const SharedMemory memory = SharedMemory::Create("test", 4096).value();
  const SharedMemory same =
      SharedMemory::Map(Duplicate(memory.fd()), 0).value();
  const SharedMemory other = SharedMemory::Create("test", 4096).value();
  EXPECT_TRUE(memory.SameAs(same));
  EXPECT_FALSE(memory.SameAs(other));
}

TEST(SharedMemoryTest, MovesWithItsContent) {
  SharedMemory from = SharedMemory::Create("test", 4096).value();
  from.data()[0] = 'x';
  const SharedMemory to = std::move(from);
  EXPECT_EQ(to.data()[0], 'x');
}

}  // namespace
}  // namespace apm
