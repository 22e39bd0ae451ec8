#include "agent/event_writer.h"

#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/synchronization/notification.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/events/event_ring.h"
#include "agent/pipe.h"
#include "base/os/event_loop.h"
#include "tests/agent/far_ends.h"

namespace apm::agent {
namespace {

using supervisor::InstanceKey;
using supervisor::InstanceState;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const InstanceKey kWeb{"web", 0, 7};

class EventWriterTest : public ::testing::Test {
 protected:
  EventWriterTest() {
    Pipe errors = CreatePipe().value();
    stderr_ = std::move(errors.write_end);
    logs_->AddStream("web", 0, logs::Stream::kErr, std::move(errors.read_end));
  }
  ~EventWriterTest() override {
    if (!released_.HasBeenNotified()) released_.Notify();
    writer_.reset();
    logs_.reset();
    std::filesystem::remove_all(folder_);
  }

  static std::string MakeFolder() {
    std::string name = "/tmp/apm-events-XXXXXX";
    return mkdtemp(name.data());
  }

  void SayOnStderr(const std::string& line) const {
    const std::string text = line + "\n";
    ASSERT_EQ(write(stderr_.get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
  }

  void Crash() {
    const supervisor::ProcessExit exit{.code = 0,
                                       .signal = 11,
                                       .core_dumped = true,
                                       .user_time = absl::Milliseconds(2),
                                       .system_time = absl::Milliseconds(3),
                                       .max_rss_kb = 4};
    writer_->OnStateChange({.key = kWeb,
                            .from = InstanceState::kReady,
                            .to = InstanceState::kBackoff,
                            .reason = "killed by SIGSEGV",
                            .pid = 12,
                            .exit = &exit,
                            .crash = true});
  }
  void Say(std::string text) {
    writer_->Say(events::type::kWorkerCreated, events::Severity::kInfo, "api",
                 std::move(text));
  }

  std::vector<events::Event> Events() const {
    return events_.List({}).value().events;
  }
  std::vector<std::string> Texts() const {
    std::vector<std::string> texts;
    for (const events::Event& event : Events()) texts.push_back(event.text);
    return texts;
  }

  // The disk hangs from now on until the end of the test.
  void HangTheDisk() { hangs_ = true; }

  const std::string folder_ = MakeFolder();
  std::atomic<bool> hangs_ = false;
  absl::Notification released_;
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  std::unique_ptr<logs::LogStore> logs_ =
      logs::LogStore::Create(folder_ + "/logs", [this](int fd, const char* data,
                                                       size_t size) {
        if (hangs_) released_.WaitForNotification();
        return logs::SystemWrite(fd, data, size);
      }).value();
  events::EventLog events_{events::EventRing::Create(1).value()};
  std::unique_ptr<EventWriter> writer_ =
      std::make_unique<EventWriter>(*loop_, *logs_, events_);
  UniqueFd stderr_;
};

TEST_F(EventWriterTest, ACrashCarriesTheExitAndTheLastWords) {
  SayOnStderr("out of cheese");
  SayOnStderr("redo from start");
  Crash();
  RunUntil(*loop_, [this] { return !Events().empty(); });
  const events::Event event = Events()[0];
  EXPECT_THAT(event.stderr_tail,
              ElementsAre("out of cheese", "redo from start"));
  EXPECT_EQ(event.type, events::type::kWorkerState);
  EXPECT_EQ(event.severity, events::Severity::kWarning);
  EXPECT_EQ(event.worker, "web");
  EXPECT_EQ(event.generation, 7U);
  EXPECT_EQ(event.pid, 12);
  EXPECT_EQ(event.from_state, "ready");
  EXPECT_EQ(event.to_state, "backoff");
  const events::Exit exit{.code = 0,
                          .signal = 11,
                          .core_dumped = true,
                          .max_rss_bytes = 4096,
                          .cpu_ms = 5};
  EXPECT_EQ(event.exit, exit);
}

TEST_F(EventWriterTest, WordsOfTheNextProcessAreNotTheLastOfThisOne) {
  SayOnStderr("the last");
  writer_->OnExited(kWeb);
  // Its place is taken before the state changes.
  Pipe next = CreatePipe().value();
  stderr_ = std::move(next.write_end);
  SayOnStderr("the first");
  logs_->AddStream("web", 0, logs::Stream::kErr, std::move(next.read_end));
  absl::Notification read;
  logs_->Flush([&] { read.Notify(); });
  read.WaitForNotification();
  Crash();
  RunUntil(*loop_, [this] { return !Events().empty(); });
  EXPECT_THAT(Events()[0].stderr_tail, ElementsAre("the last"));
}

TEST_F(EventWriterTest, AnEndThatNobodyCallsACrashIsNoEvent) {
  writer_->OnExited(kWeb);
  absl::Notification read;
  logs_->Flush([&] { read.Notify(); });
  read.WaitForNotification();
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_THAT(Events(), IsEmpty());
}

TEST_F(EventWriterTest, WhatFollowsACrashWaitsBehindIt) {
  Say("before");
  Crash();
  Say("after");
  EXPECT_THAT(Texts(), ElementsAre("before"));
  RunUntil(*loop_, [this] { return Texts().size() == 3; });
  EXPECT_THAT(Texts(), ElementsAre("before", "killed by SIGSEGV", "after"));
}

TEST_F(EventWriterTest, SeveralCrashesKeepTheirOrder) {
  Crash();
  Say("between");
  Crash();
  Say("last");
  RunUntil(*loop_, [this] { return Texts().size() == 4; });
  EXPECT_THAT(Texts(), ElementsAre("killed by SIGSEGV", "between",
                                   "killed by SIGSEGV", "last"));
}

TEST_F(EventWriterTest, AnOrdinaryEventIsThereAtOnce) {
  Say("now");
  EXPECT_THAT(Texts(), ElementsAre("now"));
}

TEST_F(EventWriterTest, ADiskThatHangsCostsTheLastWordsNotTheEvent) {
  HangTheDisk();
  SayOnStderr("lost");
  Crash();
  Say("after");
  RunUntil(*loop_, [this] { return Texts().size() == 2; });
  EXPECT_THAT(Texts(), ElementsAre("killed by SIGSEGV", "after"));
}

TEST_F(EventWriterTest, NothingThatWaitsIsLostAtTheEnd) {
  HangTheDisk();
  SayOnStderr("lost");
  Crash();
  Say("after");
  EXPECT_THAT(Texts(), IsEmpty());
  writer_.reset();
  EXPECT_THAT(Texts(), ElementsAre("killed by SIGSEGV", "after"));
}

TEST_F(EventWriterTest, LastWordsThatComeTooLateAreForgotten) {
  Crash();
  writer_->Flush();
  EXPECT_THAT(Texts(), SizeIs(1));
  Say("after");
  writer_.reset();  // The answer of the log thread finds nobody.
  absl::Notification flushed;
  logs_->Flush([&] { flushed.Notify(); });
  flushed.WaitForNotification();
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_THAT(Texts(), ElementsAre("killed by SIGSEGV", "after"));
}

}  // namespace
}  // namespace apm::agent
