// With real processes: they are started here, with a daemon id of this test
// alone, and all of them end with it.

#include "agent/process_sweep.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <absl/strings/str_format.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/worker_environment.h"
#include "base/os/unique_fd.h"

namespace apm::agent {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string RandomDaemonId() {
  std::random_device random;
  return absl::StrFormat("%08x%08x", random(), random());
}

// A process that reports who it became, and may do as it likes with SIGTERM.
class ProcessSweepTest : public ::testing::Test {
 protected:
  // Orphans fall to this process, as to the keeper.
  ProcessSweepTest() { prctl(PR_SET_CHILD_SUBREAPER, 1); }
  ~ProcessSweepTest() override {
    SweepDaemon(daemon_);
    SweepDaemon(other_daemon_);
    while (waitpid(-1, nullptr, WNOHANG) > 0) continue;
    prctl(PR_SET_CHILD_SUBREAPER, 0);
  }

  std::string Tag(uint64_t generation) const {
    return FormatProcessTag({daemon_, {"web", 0, generation}});
  }

  // Runs `script` with /bin/sh, in a process group of its own, with `tag` in
  // its environment, and returns what it writes to its stdout as a pid: that of
  // the process the test is about, when it is as the test wants it.
  pid_t Run(const std::string& tag, const std::string& script) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd read_end(ends[0]);
    UniqueFd write_end(ends[1]);
    const std::string variable = "APM_PROCESS=" + tag;
    const pid_t pid = fork();
    if (pid == 0) {
      setpgid(0, 0);
      dup2(write_end.get(), STDOUT_FILENO);
      const char* argv[] = {"sh", "-c", script.c_str(), nullptr};
      const char* env[] = {"PATH=/usr/bin:/bin", "HOME=/", variable.c_str(),
                           nullptr};
      execve("/bin/sh", const_cast<char**>(argv), const_cast<char**>(env));
      _exit(127);
    }
    write_end.Reset();
    leader_ = pid;
    std::string text;
    char byte = 0;
    while (read(read_end.get(), &byte, 1) == 1 && byte != '\n') text += byte;
    return static_cast<pid_t>(atoi(text.c_str()));
  }

  // A process of ours that has ended is a zombie or gone.
  static bool IsAlive(pid_t pid) {
    const UniqueFd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfd) return false;
    pollfd end{.fd = pidfd.get(), .events = POLLIN, .revents = 0};
    return poll(&end, 1, 0) == 0;
  }

  const std::string daemon_ = RandomDaemonId();
  const std::string other_daemon_ = RandomDaemonId();
  pid_t leader_ = 0;  // Of the latest Run: its group's number.
};

constexpr char kWait[] = "while :; do sleep 1000; done";

// Forks twice, starts a session, ignores SIGTERM.
std::string Daemonize() {
  return absl::StrFormat(
      "setsid sh -c '(trap \"\" TERM; sh -c \"echo \\$PPID\"; exec >&-; %s) &'",
      kWait);
}

TEST_F(ProcessSweepTest, FindsADaemonThatIgnoresSigterm) {
  const pid_t daemon = Run(Tag(1), Daemonize());
  ASSERT_GT(daemon, 1);
  waitpid(leader_, nullptr, 0);
  ASSERT_EQ(kill(daemon, SIGTERM), 0);
  ASSERT_TRUE(IsAlive(daemon));
  const SweepReport report = SweepProcesses({{{Tag(1), leader_}}});
  EXPECT_FALSE(IsAlive(daemon));
  EXPECT_TRUE(report.complete);
  const auto found = std::find_if(report.killed.begin(), report.killed.end(),
                                  [&](const SweepReport::Killed& killed) {
                                    return killed.who.pid == daemon;
                                  });
  ASSERT_NE(found, report.killed.end());
  EXPECT_EQ(found->tag, Tag(1));
  EXPECT_EQ(found->who.command, "sh");
  EXPECT_EQ(found->who.why, "had left the process group of its worker");
}

TEST_F(ProcessSweepTest, FindsAnotherProgramAndNamesIt) {
  const pid_t sleeper =
      Run(Tag(1), "setsid sh -c 'echo $$; exec sleep 1000' &");
  const SweepReport report = SweepProcesses({{{Tag(1), leader_}}});
  EXPECT_FALSE(IsAlive(sleeper));
  ASSERT_THAT(report.killed, SizeIs(1));
  EXPECT_EQ(report.killed[0].who.pid, sleeper);
  EXPECT_EQ(report.killed[0].who.why, "had started a session of its own");
}

TEST_F(ProcessSweepTest, SparesWhoCarriesAnotherTag) {
  const pid_t other_generation = Run(Tag(12), "echo $$; exec sleep 1000");
  const pid_t other_daemon =
      Run(FormatProcessTag({other_daemon_, {"web", 0, 1}}),
          "echo $$; exec sleep 1000");
  const pid_t longer = Run(Tag(1) + "/x", "echo $$; exec sleep 1000");
  const pid_t meant = Run(Tag(1), "echo $$; exec sleep 1000");
  SweepProcesses({{{Tag(1), 0}}});
  EXPECT_FALSE(IsAlive(meant));
  EXPECT_TRUE(IsAlive(other_generation));
  EXPECT_TRUE(IsAlive(other_daemon));
  EXPECT_TRUE(IsAlive(longer));
  kill(longer, SIGKILL);  // No sweep finds it.
}

TEST_F(ProcessSweepTest, MembersOfTheGroupEndButAreNotNamed) {
  const pid_t member = Run(Tag(1), "sh -c 'echo $$; exec sleep 1000' & wait");
  const SweepReport report = SweepProcesses({{{Tag(1), leader_}}});
  EXPECT_FALSE(IsAlive(member));
  EXPECT_FALSE(IsAlive(leader_));
  EXPECT_THAT(report.killed, IsEmpty());
}

TEST_F(ProcessSweepTest, SweepsManyTagsAtOnce) {
  const pid_t a = Run(Tag(1), "echo $$; exec sleep 1000");
  const pid_t b = Run(Tag(2), "echo $$; exec sleep 1000");
  const SweepReport report =
      SweepProcesses({{{Tag(1), 0}, {Tag(2), 0}, {Tag(3), 0}}});
  EXPECT_FALSE(IsAlive(a));
  EXPECT_FALSE(IsAlive(b));
  EXPECT_THAT(report.killed, SizeIs(2));
}

TEST_F(ProcessSweepTest, EndsEverythingOfADaemonAndNothingElse) {
  const pid_t one = Run(Tag(1), "echo $$; exec sleep 1000");
  const pid_t two = Run(FormatProcessTag({daemon_, {"api", 3, 9}}),
                        "echo $$; exec sleep 1000");
  const pid_t stranger = Run(FormatProcessTag({other_daemon_, {"web", 0, 1}}),
                             "echo $$; exec sleep 1000");
  const SweepReport report = SweepDaemon(daemon_);
  EXPECT_THAT(report.killed, SizeIs(2));
  EXPECT_FALSE(IsAlive(one));
  EXPECT_FALSE(IsAlive(two));
  EXPECT_TRUE(IsAlive(stranger));
}

TEST_F(ProcessSweepTest, HalfADaemonIdOrTagMatchesNobody) {
  const pid_t one = Run(Tag(1), "echo $$; exec sleep 1000");
  SweepDaemon("");
  SweepDaemon(daemon_.substr(0, 15));
  SweepProcesses({{{"", 0}, {daemon_, 0}, {daemon_ + "/web/0", 0}}});
  EXPECT_TRUE(IsAlive(one));
}

TEST_F(ProcessSweepTest, ATagThatNobodyCarriesIsSweptInOneLook) {
  const SweepReport report = SweepProcesses({{{Tag(1), 0}}});
  EXPECT_TRUE(report.complete);
  EXPECT_THAT(report.killed, IsEmpty());
}

TEST_F(ProcessSweepTest, OnesThatForkWhileItLooksAreFoundInTheEnd) {
  // A bomb that ends by itself.
  Run(Tag(1),
      "echo $$; exec >&-; i=0; while [ $i -lt 200 ]; do i=$((i+1)); "
      "setsid sh -c 'sleep 1000' & done; wait");
  const SweepReport report = SweepProcesses({{{Tag(1), 0}}});
  EXPECT_TRUE(report.complete);
  EXPECT_THAT(SweepProcesses({{{Tag(1), 0}}}).killed, IsEmpty());
}

TEST_F(ProcessSweepTest, StopsAtItsLimitsAndSaysSo) {
  const pid_t a = Run(Tag(1), "echo $$; exec sleep 1000");
  const pid_t b = Run(Tag(1), "echo $$; exec sleep 1000");
  const SweepReport one = SweepProcesses({{{Tag(1), 0}}}, {.kills = 1});
  EXPECT_FALSE(one.complete);
  EXPECT_EQ(IsAlive(a) + IsAlive(b), 1);
  const SweepReport none = SweepProcesses(
      {{{Tag(1), 0}}}, {.time = absl::ZeroDuration(), .kills = 1});
  EXPECT_FALSE(none.complete);
  EXPECT_EQ(IsAlive(a) + IsAlive(b), 1);
}

TEST_F(ProcessSweepTest, NeverKillsItsCaller) {
  // Only an exec puts a variable where the sweep looks for it.
  if (const char* const own_tag = getenv("APM_PROCESS"); own_tag != nullptr) {
    EXPECT_THAT(SweepProcesses({{{own_tag, 0}}}).killed, IsEmpty());
    return;
  }
  const pid_t copy = fork();
  if (copy == 0) {
    const std::string variable = "APM_PROCESS=" + Tag(1);
    const char* argv[] = {"copy", "--gtest_filter=*.NeverKillsItsCaller",
                          nullptr};
    const char* env[] = {variable.c_str(), nullptr};
    execve("/proc/self/exe", const_cast<char**>(argv), const_cast<char**>(env));
    _exit(127);
  }
  int status = -1;
  waitpid(copy, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace apm::agent
