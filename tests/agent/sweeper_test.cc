// With real processes: they are started here, with a daemon id of this test
// alone, and all of them end with it.

#include "agent/sweeper.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/process_sweep.h"
#include "agent/worker_environment.h"
#include "base/os/event_loop.h"
#include "tests/agent/far_ends.h"

namespace apm::agent {
namespace {

using supervisor::InstanceKey;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const InstanceKey kFirst{"web", 0, 1};
const InstanceKey kSecond{"web", 1, 1};
const InstanceKey kThird{"web", 2, 1};

std::string RandomDaemonId() {
  std::random_device random;
  return absl::StrFormat("%08x%08x", random(), random());
}

class SweeperTest : public ::testing::Test {
 protected:
  SweeperTest() {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sweeper_.SetDaemonId(daemon_);
  }
  ~SweeperTest() override {
    SweepDaemon(daemon_);
    for (const pid_t pid : started_) waitpid(pid, nullptr, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
  }

  // A process in a session of its own that ignores SIGTERM and carries the
  // tag of `key`.
  pid_t LeaveBehind(const InstanceKey& key) {
    const std::string variable = absl::StrFormat(
        "%s=%s", kProcessTagVariable, FormatProcessTag({daemon_, key}));
    // With vfork(2) the parent goes on when the child has its environment.
    const char* argv[] = {"sleep", "1000", nullptr};
    const char* env[] = {variable.c_str(), nullptr};
    const pid_t pid = vfork();
    if (pid == 0) {
      setsid();
      signal(SIGTERM, SIG_IGN);
      execve("/bin/sleep", const_cast<char**>(argv), const_cast<char**>(env));
      _exit(127);
    }
    started_.push_back(pid);
    return pid;
  }

  void WaitForSwept(size_t count) {
    RunUntil(*loop_, [&] { return order_.size() >= count; });
  }

  const std::string daemon_ = RandomDaemonId();
  std::vector<pid_t> started_;
  std::vector<std::string> order_;  // "web/0", as they were swept.
  std::map<std::string, std::vector<pid_t>> survivors_;
  std::function<void()> when_swept_;
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  Background background_{EventLoop::Create().value()};
  Sweeper sweeper_{
      *loop_, background_,
      [this](const InstanceKey& key,
             const std::vector<supervisor::Survivor>& survivors) {
        order_.push_back(absl::StrFormat("%s/%d", key.worker, key.instance));
        for (const auto& survivor : survivors) {
          survivors_[order_.back()].push_back(survivor.pid);
        }
        if (when_swept_) std::exchange(when_swept_, nullptr)();
      }};
};

TEST_F(SweeperTest, KillsAndNamesWhatAWorkerLeftBehind) {
  const pid_t left = LeaveBehind(kFirst);
  sweeper_.Add(kFirst, 0);
  EXPECT_THAT(order_, IsEmpty());  // In a later turn.
  WaitForSwept(1);
  EXPECT_THAT(survivors_["web/0"], ElementsAre(left));
}

TEST_F(SweeperTest, LeavesTheProcessesOfOthersAlone) {
  const pid_t other = LeaveBehind(kSecond);
  sweeper_.Add(kFirst, 0);
  WaitForSwept(1);
  EXPECT_THAT(survivors_, IsEmpty());
  EXPECT_EQ(waitpid(other, nullptr, WNOHANG), 0);  // It lives.
}

TEST_F(SweeperTest, KeysThatAreAddedDuringASweepAreSweptAfterIt) {
  const pid_t second = LeaveBehind(kSecond);
  const pid_t third = LeaveBehind(kThird);
  sweeper_.Add(kFirst, 0);
  sweeper_.Add(kThird, 0);
  sweeper_.Add(kSecond, 0);
  WaitForSwept(3);
  // The latter two in one sweep, by key.
  EXPECT_THAT(order_, ElementsAre("web/0", "web/1", "web/2"));
  EXPECT_THAT(survivors_["web/1"], ElementsAre(second));
  EXPECT_THAT(survivors_["web/2"], ElementsAre(third));
}

TEST_F(SweeperTest, ASweepMayBeAskedForFromTheAnswerToAnother) {
  when_swept_ = [this] { sweeper_.Add(kSecond, 0); };
  sweeper_.Add(kFirst, 0);
  WaitForSwept(2);
  EXPECT_THAT(order_, ElementsAre("web/0", "web/1"));
}

TEST_F(SweeperTest, AKeyThatIsAddedTwiceIsAnsweredOnceASweep) {
  sweeper_.Add(kFirst, 0);
  sweeper_.Add(kSecond, 0);
  sweeper_.Add(kSecond, 0);
  sweeper_.Add(kThird, 0);
  WaitForSwept(3);
  EXPECT_THAT(order_, SizeIs(3));
}

}  // namespace
}  // namespace apm::agent
