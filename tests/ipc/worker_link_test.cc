#include "ipc/worker_link.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"
#include "ipc/frame_encoder.h"
#include "ipc/link_marks.h"
#include "tests/ipc/wire.h"
#include "tests/testing/fake_timers.h"
#include "tests/testing/status_matchers.h"

namespace apm::ipc {
namespace {

using apm::testing::IsOk;
using ::testing::ElementsAre;
using testing::FromWorker;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::string_view kReady = R"({"_command":"ready"})";

// Writes down what a link tells, and may do something at the first callback.
class Recorder final : public WorkerLink::Handler {
 public:
  void OnFrame(const WorkerHead& head, std::string_view payload) override {
    Note("frame " + std::string(WorkerCommandName(head.command)) + " " +
         std::string(payload));
  }
  void OnBadFrame(HeadProblem problem, std::string_view) override {
    Note("bad " + std::string(HeadProblemText(problem)));
  }
  void OnStray(std::string_view bytes) override {
    Note("stray " + std::string(bytes));
  }
  void OnSending() override {
    if (on_sending) on_sending();
  }
  void OnWritable() override { Note("writable"); }
  void OnClosed(LinkEnd end, const absl::Status&) override {
    switch (end) {
      case LinkEnd::kWorkerClosedOutput:
        Note("closed output");
        break;
      case LinkEnd::kWorkerClosedInput:
        Note("closed input");
        break;
      case LinkEnd::kIoError:
        Note("error");
        break;
    }
  }

  std::vector<std::string> notes;
  std::function<void()> once;  // Runs in the next callback.
  std::function<void()> on_sending;

 private:
  void Note(std::string note) {
    notes.push_back(std::move(note));
    if (auto action = std::exchange(once, nullptr)) action();
  }
};

class WorkerLinkTest : public ::testing::Test {
 protected:
  WorkerLinkTest() : scratch_(kLinkReadBytes) {
    loop_ = EventLoop::Create().value();
    ConnectPipes({});
  }

  void Connect(UniqueFd to_worker, UniqueFd from_worker,
               WorkerLink::Options options) {
    options.timers = &timers_;
    options.marks = &marks_;
    auto link =
        WorkerLink::Create(*loop_, std::move(to_worker), std::move(from_worker),
                           scratch_, seen_, options);
    ASSERT_THAT(link, IsOk());
    link_ = *std::move(link);
  }

  // A new link on new pipes.
  void ConnectPipes(const WorkerLink::Options& options) {
    link_.reset();
    int in[2];
    int out[2];
    ASSERT_EQ(pipe2(in, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
    worker_stdin_.Reset(in[0]);
    worker_stdout_.Reset(out[1]);
    Connect(UniqueFd(in[1]), UniqueFd(out[0]), options);
  }

  void WorkerWrites(std::string_view bytes) {
    ASSERT_EQ(write(worker_stdout_.get(), bytes.data(), bytes.size()),
              static_cast<ssize_t>(bytes.size()));
  }

  // What is in the worker's stdin now, at most `limit` bytes.
  std::string WorkerReads(size_t limit = size_t{1} << 20) {
    fcntl(worker_stdin_.get(), F_SETFL, O_NONBLOCK);
    std::string bytes(limit, '\0');
    const ssize_t got = read(worker_stdin_.get(), bytes.data(), limit);
    bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return bytes;
  }

  void Turn() { loop_->RunOnce(absl::ZeroDuration()); }

  void Send(std::string_view payload) {
    ASSERT_THAT(AppendData("s", DataType::kBinary, payload, link_->OutBuffer()),
                IsOk());
  }

  // Is the link marked as being in the middle of something?
  bool busy_in() const { return marks_.busy_in != 0; }
  bool busy_out() const { return marks_.busy_out != 0; }

  std::unique_ptr<EventLoop> loop_;
  LinkMarks marks_{};
  std::vector<char> scratch_;
  apm::testing::FakeTimers timers_;
  Recorder seen_;
  UniqueFd worker_stdin_;
  UniqueFd worker_stdout_;
  std::unique_ptr<WorkerLink> link_;
};

TEST_F(WorkerLinkTest, DeliversFramesAndStrayBytesInOrder) {
  WorkerWrites("hello\n" + FromWorker(kReady) + FromWorker("{}") +
               FromWorker(R"({"_command":"write"})", "body"));
  Turn();
  EXPECT_THAT(seen_.notes,
              ElementsAre("stray hello\n", "frame ready ",
                          "bad head has no '_command'", "frame write body"));
  EXPECT_EQ(link_->stats().frames_in, 2u);
  EXPECT_EQ(link_->stats().bad_frames_in, 1u);
  EXPECT_EQ(link_->stats().stray_bytes_in, 6u);
  EXPECT_EQ(link_->stats().reads, 1u);
}

TEST_F(WorkerLinkTest, AllFramesOfATurnLeaveInOneWrite) {
  Send("one");
  Send("two");
  EXPECT_EQ(WorkerReads(), "");
  Turn();
  std::string expected;
  ASSERT_THAT(AppendData("s", DataType::kBinary, "one", expected), IsOk());
  ASSERT_THAT(AppendData("s", DataType::kBinary, "two", expected), IsOk());
  EXPECT_EQ(WorkerReads(), expected);
  EXPECT_EQ(link_->stats().writes, 1u);
  EXPECT_EQ(link_->stats().bytes_out, expected.size());
}

TEST_F(WorkerLinkTest, FramesOfALaterTurnLeaveToo) {
  Send("one");
  Turn();
  WorkerReads();
  Send("two");
  Turn();
  EXPECT_THAT(WorkerReads(), ::testing::EndsWith("\x03two"));
}

TEST_F(WorkerLinkTest, WhatAFullPipeDoesNotTakeFollowsWhenItIsRead) {
  std::string payload(size_t{3} << 20, '\0');
  for (size_t i = 0; i < payload.size(); ++i) {
    payload[i] = static_cast<char>(i * 7 >> 3);
  }
  Send(payload);
  std::string expected;
  ASSERT_THAT(AppendData("s", DataType::kBinary, payload, expected), IsOk());
  Turn();
  EXPECT_GT(link_->pending_out_bytes(), 0u);
  std::string received;
  while (received.size() < expected.size()) {
    const std::string part = WorkerReads();
    ASSERT_FALSE(part.empty() && link_->pending_out_bytes() == 0);
    received += part;
    Turn();
  }
  EXPECT_EQ(received == expected, true);  // Not printed: 3 MiB.
  EXPECT_EQ(link_->pending_out_bytes(), 0u);
}

TEST_F(WorkerLinkTest, TellsWhenACongestedPipeHasRoomAgain) {
  ConnectPipes({.high_watermark_bytes = 1000, .low_watermark_bytes = 100});
  Send(std::string(size_t{1} << 20, 'x'));
  EXPECT_FALSE(link_->congested());
  Turn();
  EXPECT_TRUE(link_->congested());
  EXPECT_THAT(seen_.notes, IsEmpty());
  while (link_->congested()) {
    WorkerReads();
    Turn();
  }
  EXPECT_THAT(seen_.notes, ElementsAre("writable"));
}

TEST_F(WorkerLinkTest, EndOfOutputClosesTheLink) {
  WorkerWrites(FromWorker(kReady) + "\x05");
  worker_stdout_.Reset();
  Turn();
  Turn();
  EXPECT_THAT(seen_.notes,
              ElementsAre("frame ready ", "stray \x05", "closed output"));
  EXPECT_TRUE(link_->closed());
}

TEST_F(WorkerLinkTest, WorkerThatIsGoneDoesNotKillUsAndIsReadToItsEnd) {
  // Says its last words after the turn has read and before it writes.
  Send("x");
  worker_stdin_.Reset();
  loop_->Post([this] { WorkerWrites(FromWorker(kReady)); });
  Turn();
  EXPECT_THAT(seen_.notes, ElementsAre("frame ready ", "closed input"));
  EXPECT_TRUE(link_->closed());
}

TEST_F(WorkerLinkTest, FramesForAClosedLinkAreDropped) {
  link_->Close();
  Send("x");
  Turn();
  EXPECT_EQ(link_->pending_out_bytes(), 0u);
  EXPECT_THAT(seen_.notes, IsEmpty());
}

TEST_F(WorkerLinkTest, StartedFrameWithoutProgressBecomesStray) {
  WorkerWrites("\x05");
  Turn();
  timers_.AdvanceBy(kStrayTimeout - absl::Nanoseconds(1));
  EXPECT_THAT(seen_.notes, IsEmpty());
  timers_.AdvanceBy(absl::Nanoseconds(1));
  EXPECT_THAT(seen_.notes, ElementsAre("stray \x05"));
}

TEST_F(WorkerLinkTest, EveryByteGivesAStartedFrameItsTimeAnew) {
  const std::string frame = FromWorker(kReady);
  for (const char& c : frame) {
    WorkerWrites(std::string_view(&c, 1));
    Turn();
    timers_.AdvanceBy(kStrayTimeout - absl::Nanoseconds(1));
  }
  EXPECT_THAT(seen_.notes, ElementsAre("frame ready "));
}

TEST_F(WorkerLinkTest, EachStartedFrameInsideOfAStrayOneHasItsTime) {
  const std::string outer = testing::Prefix(1000) + "{}\x03";
  const std::string inner = testing::Prefix(500) + "{}\x03";
  WorkerWrites(outer + inner);
  Turn();
  timers_.AdvanceBy(kStrayTimeout);
  EXPECT_THAT(seen_.notes, ElementsAre("stray " + outer));
  timers_.AdvanceBy(kStrayTimeout);
  EXPECT_THAT(seen_.notes, ElementsAre("stray " + outer, "stray " + inner));
  EXPECT_EQ(timers_.pending(), 0u);
}

TEST_F(WorkerLinkTest, QuietLinkHasNoTimer) {
  WorkerWrites("text" + FromWorker(kReady));
  Turn();
  EXPECT_EQ(timers_.pending(), 0u);
}

TEST_F(WorkerLinkTest, ClosedLinkHasNoTimer) {
  WorkerWrites("\x05");
  Turn();
  link_.reset();
  EXPECT_EQ(timers_.pending(), 0u);
}

TEST_F(WorkerLinkTest, MayBeDestroyedInsideOfACallback) {
  seen_.once = [this] { link_.reset(); };
  WorkerWrites(FromWorker(kReady) + FromWorker(kReady));
  Send("x");
  Turn();
  Turn();
  EXPECT_THAT(seen_.notes, SizeIs(1));
}

TEST_F(WorkerLinkTest, MayBeDestroyedInsideOfTheLastCallback) {
  seen_.once = [this] { link_.reset(); };
  worker_stdout_.Reset();
  Turn();
  EXPECT_THAT(seen_.notes, ElementsAre("closed output"));
}

TEST_F(WorkerLinkTest, MayBeClosedInsideOfACallback) {
  seen_.once = [this] { link_->Close(); };
  WorkerWrites(FromWorker(kReady) + FromWorker(kReady));
  Turn();
  Turn();
  EXPECT_THAT(seen_.notes, SizeIs(1));
}

TEST_F(WorkerLinkTest, DrainDeliversWhatADeadWorkerLeftBehind) {
  WorkerWrites(FromWorker(kReady) + "last words" +
               FromWorker(kReady).substr(0, 9));
  worker_stdout_.Reset();
  link_->DrainReads();
  EXPECT_THAT(seen_.notes,
              ElementsAre("frame ready ", "stray last words",
                          "stray " + FromWorker(kReady).substr(0, 9)));
  EXPECT_TRUE(link_->closed());
}

TEST_F(WorkerLinkTest, DrainDoesNotWaitForAPipeThatOthersHoldOpen) {
  WorkerWrites(FromWorker(kReady));
  link_->DrainReads();
  EXPECT_THAT(seen_.notes, ElementsAre("frame ready "));
  EXPECT_TRUE(link_->closed());
}

TEST_F(WorkerLinkTest, MayBeDestroyedWhileItDrains) {
  seen_.once = [this] { link_.reset(); };
  WorkerWrites(FromWorker(kReady) + FromWorker(kReady));
  link_->DrainReads();
  EXPECT_THAT(seen_.notes, SizeIs(1));
}

TEST_F(WorkerLinkTest, IsMarkedUntilWhatAReadBringsAboutIsDone) {
  seen_.once = [this] {
    EXPECT_TRUE(busy_in());
    EXPECT_FALSE(busy_out());
  };
  WorkerWrites(FromWorker(kReady));
  Turn();
  EXPECT_THAT(seen_.notes, SizeIs(1));
  EXPECT_FALSE(busy_in());
}

TEST_F(WorkerLinkTest, IsMarkedWhileAFrameFromTheWorkerIsBegun) {
  const std::string frame = FromWorker(kReady);
  for (const char& c : frame) {
    WorkerWrites(std::string_view(&c, 1));
    Turn();
    EXPECT_EQ(busy_in(), &c != &frame.back());
  }
}

TEST_F(WorkerLinkTest, PrintedTextLeavesNoMark) {
  WorkerWrites("text without an end");
  Turn();
  EXPECT_FALSE(busy_in());
}

TEST_F(WorkerLinkTest, AFrameThatIsGivenUpLeavesNoMark) {
  WorkerWrites("\x05");
  Turn();
  EXPECT_TRUE(busy_in());
  timers_.AdvanceBy(kStrayTimeout);
  EXPECT_FALSE(busy_in());
}

TEST_F(WorkerLinkTest, DrainingLeavesNoMark) {
  WorkerWrites(FromWorker(kReady));
  link_->DrainReads();
  EXPECT_FALSE(busy_in());
}

TEST_F(WorkerLinkTest, IsMarkedFromBeforeAWriteToItsEnd) {
  int sent = 0;
  seen_.on_sending = [&] {
    ++sent;
    EXPECT_TRUE(busy_out());
    EXPECT_EQ(WorkerReads(), "");
  };
  Send("one");
  Send("two");
  EXPECT_FALSE(busy_out());  // Nothing has left: as if it were never said.
  Turn();
  EXPECT_EQ(sent, 1);
  EXPECT_FALSE(busy_out());
}

TEST_F(WorkerLinkTest, IsMarkedUntilAFullPipeHasTakenAll) {
  Send(std::string(size_t{1} << 20, 'x'));
  Turn();
  while (link_->pending_out_bytes() > 0) {
    EXPECT_TRUE(busy_out());
    WorkerReads(100'000);
    Turn();
  }
  EXPECT_FALSE(busy_out());
}

TEST_F(WorkerLinkTest, NothingToWriteLeavesNoMark) {
  seen_.on_sending = [] { FAIL() << "there is nothing to send"; };
  link_->OutBuffer();
  Turn();
  EXPECT_FALSE(busy_out());
}

TEST_F(WorkerLinkTest, WorksOnASocketPair) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  worker_stdin_.Reset(ends[1]);
  worker_stdout_.Reset(fcntl(ends[1], F_DUPFD_CLOEXEC, 0));
  link_.reset();
  const int duplicate = fcntl(ends[0], F_DUPFD_CLOEXEC, 0);
  Connect(UniqueFd(ends[0]), UniqueFd(duplicate), {});
  Send("x");
  WorkerWrites(FromWorker(kReady));
  Turn();
  EXPECT_THAT(seen_.notes, ElementsAre("frame ready "));
  EXPECT_THAT(WorkerReads(), ::testing::EndsWith("\x03x"));
}

TEST_F(WorkerLinkTest, LeavesASignalHandlerForSigpipeAlone) {
  struct sigaction mine {};
  mine.sa_handler = [](int) {};
  struct sigaction before {};
  ASSERT_EQ(sigaction(SIGPIPE, &mine, &before), 0);
  ConnectPipes({});
  struct sigaction now {};
  ASSERT_EQ(sigaction(SIGPIPE, &before, &now), 0);
  EXPECT_EQ(now.sa_handler, mine.sa_handler);
}

}  // namespace
}  // namespace apm::ipc
