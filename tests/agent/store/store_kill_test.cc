// SIGKILL in the middle of saves: what was answered is there.

#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/store/store.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"
#include "tests/agent/store/desired_workers.h"
#include "tests/agent/store/state_folder.h"

namespace apm::store {
namespace {

using ::testing::IsEmpty;

constexpr uint32_t kAtOnce = 3;  // Saves in flight, so that commits batch.

std::string NameOf(uint32_t number) { return "w" + std::to_string(number); }

// Saves workers w1, w2, ... for ever, and writes the number of each that was
// answered to `acknowledged`.
[[noreturn]] void SaveForEver(const std::string& path, int acknowledged) {
  const auto loop = EventLoop::Create().value();
  const auto store = Store::Create({.path = path}, *loop).value();
  uint32_t last = 0;
  std::function<void()> save_next = [&] {
    const uint32_t number = ++last;
    store->Save({Worker(NameOf(number), {number})}, {},
                [&, number](absl::Status status) {
                  if (!status.ok()) abort();
                  if (write(acknowledged, &number, sizeof number) < 0) abort();
                  save_next();
                });
  };
  store->Load([&](absl::StatusOr<DesiredState> state) {
    if (!state.ok()) abort();
    for (uint32_t i = 0; i < kAtOnce; ++i) save_next();
  });
  loop->Run();
  abort();
}

DesiredState LoadFrom(const std::string& path) {
  const auto loop = EventLoop::Create().value();
  const auto store = Store::Create({.path = path}, *loop).value();
  absl::StatusOr<DesiredState> loaded;
  store->Load([&](absl::StatusOr<DesiredState> state) {
    loaded = std::move(state);
    loop->Stop();
  });
  loop->Run();
  return loaded.value();
}

class StoreKillTest : public ::testing::TestWithParam<uint32_t> {};

// The child is killed when it has been heard of so many saves, at whatever it
// does then.
INSTANTIATE_TEST_SUITE_P(After, StoreKillTest,
                         ::testing::Values(1, 2, 3, 7, 20, 50, 133, 400, 1500));

TEST_P(StoreKillTest, EveryAnsweredSaveIsThere) {
  const StateFolder folder;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) SaveForEver(folder.file(), ends[1]);
  close(ends[1]);
  const UniqueFd acknowledged(ends[0]);
  uint32_t answered = 0;
  const auto hear = [&] {
    return read(acknowledged.get(), &answered, sizeof answered) ==
           sizeof answered;
  };
  for (uint32_t heard = 0; heard < GetParam(); ++heard) ASSERT_TRUE(hear());
  ASSERT_EQ(kill(child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  while (hear()) continue;  // Answered before the kill, too.

  const DesiredState state = LoadFrom(folder.file());
  EXPECT_THAT(state.warnings, IsEmpty());
  ASSERT_GE(state.workers.size(), answered);
  for (uint32_t i = 0; i < state.workers.size(); ++i) {
    ASSERT_EQ(state.workers[i].name, NameOf(i + 1));
  }
  EXPECT_GT(state.next_instance_id, answered);
}

}  // namespace
}  // namespace apm::store
