#include "agent/worker_links.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/pipe.h"
#include "base/os/channel.h"
#include "base/os/event_loop.h"
#include "base/os/shared_memory.h"
#include "proxy/link_records.h"
#include "tests/agent/far_ends.h"
#include "tests/agent/silent_events.h"
#include "tests/testing/status_matchers.h"

namespace apm::agent {
namespace {

using ::apm::testing::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const InstanceKey kWeb{"web", 0, 7};
const InstanceKey kApi{"api", 0, 7};
constexpr uint32_t kWebId = 1;
constexpr uint32_t kApiId = 2;
constexpr uint64_t kDead = 5;  // Incarnations of proxies.
constexpr uint64_t kNext = 6;

bool SameFile(int one, int other) {
  struct stat first {};
  struct stat second {};
  return fstat(one, &first) == 0 && fstat(other, &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// A worker's pipes, both ends.
struct Pipes {
  Pipe input = CreatePipe().value();
  Pipe output = CreatePipe().value();
};

class WorkerLinksTest : public ::testing::Test {
 protected:
  static constexpr uint32_t kRecords = 3;

  ~WorkerLinksTest() override {
    logs_.reset();
    std::filesystem::remove_all(folder_);
  }

  static std::string MakeFolder() {
    std::string name = "/tmp/apm-links-XXXXXX";
    return mkdtemp(name.data());
  }

  void UseBoard(bool nothing_known = false) {
    links_.UseBoard(LinkBoard::Create(kRecords, 5).value(), nothing_known);
    memory_.emplace(
        SharedMemory::Map(
            UniqueFd(fcntl(links_.records().links_fd, F_DUPFD_CLOEXEC, 0)), 0)
            .value());
  }

  // The record of a link as a proxy sees it.
  proxy::LinkRecord& RecordOf(uint32_t worker_id) {
    auto* records = reinterpret_cast<proxy::LinkRecord*>(
        reinterpret_cast<proxy::RecordsHeader*>(memory_->data()) + 1);
    for (uint32_t i = 0; i < kRecords; ++i) {
      if (records[i].worker_id == worker_id) return records[i];
    }
    ADD_FAILURE() << "worker " << worker_id << " has no record";
    return records[0];
  }

  bool HasRecord(uint32_t worker_id) {
    const auto* records = reinterpret_cast<proxy::LinkRecord*>(
        reinterpret_cast<proxy::RecordsHeader*>(memory_->data()) + 1);
    for (uint32_t i = 0; i < kRecords; ++i) {
      if (records[i].worker_id == worker_id) return true;
    }
    return false;
  }

  Pipes Add(const InstanceKey& key, uint32_t worker_id) {
    Pipes pipes;
    links_.Add(key, worker_id, std::move(pipes.input.write_end),
               std::move(pipes.output.read_end));
    return pipes;
  }

  Pipes Adopt(const InstanceKey& key, uint32_t worker_id, bool ready = true) {
    Pipes pipes;
    links_.Adopt(key, worker_id, std::move(pipes.input.write_end),
                 std::move(pipes.output.read_end), ready);
    return pipes;
  }

  // A new proxy in place of the one before, if there was one.
  void ConnectProxy() {
    proxy_.Disconnect();
    auto [ours, theirs] = CreateChannelPair().value();
    proxy_end_ = std::make_unique<ProxyEnd>(*loop_, std::move(theirs));
    ASSERT_THAT(proxy_.Connect(std::move(ours)), IsOk());
  }

  const std::string folder_ = MakeFolder();
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  std::pair<UniqueFd, UniqueFd> ends_ = CreateChannelPair().value();
  SilentEvents events_;
  KeeperClient keeper_{*loop_, std::move(ends_.first), events_};
  KeeperEnd keeper_end_{*loop_, std::move(ends_.second)};
  ProxyClient proxy_{*loop_, events_};
  std::unique_ptr<ProxyEnd> proxy_end_;
  std::unique_ptr<logs::LogStore> logs_ =
      logs::LogStore::Create(folder_ + "/logs").value();
  NoteBook notes_{keeper_};
  std::vector<std::string> lost_;
  std::vector<std::string> torn_;
  WorkerLinks links_{
      {*loop_, keeper_, proxy_, *logs_, notes_,
       [this](const InstanceKey& key) { lost_.push_back(key.worker); },
       [this](const InstanceKey& key) { torn_.push_back(key.worker); }}};
  std::optional<SharedMemory> memory_;
};

// ---- Attach ----

TEST_F(WorkerLinksTest, AttachSendsThePipesAndTheRecord) {
  UseBoard();
  ConnectProxy();
  const Pipes pipes = Add(kWeb, kWebId);
  links_.Attach(kWeb);
  EXPECT_THAT(proxy_end_->Said(), ElementsAre("attach 1/0/7"));
  ASSERT_THAT(proxy_end_->pipes(), SizeIs(3));
  EXPECT_TRUE(
      SameFile(proxy_end_->pipes()[0].get(), pipes.input.read_end.get()));
  EXPECT_TRUE(
      SameFile(proxy_end_->pipes()[1].get(), pipes.output.write_end.get()));
  EXPECT_LT(proxy_end_->attach().link_record(), kRecords);
  EXPECT_TRUE(HasRecord(kWebId));
  EXPECT_FALSE(proxy_end_->attach().has_traits());
}

TEST_F(WorkerLinksTest, TheStrayPipeIsStoredWithTheKeeper) {
  UseBoard();
  ConnectProxy();
  const Pipes pipes = Add(kWeb, kWebId);
  links_.Attach(kWeb);
  proxy_end_->Said();
  EXPECT_THAT(keeper_end_.Said(), ElementsAre("put stray:web/0/7"));
  EXPECT_TRUE(SameFile(keeper_end_.fds().at("stray:web/0/7").get(),
                       proxy_end_->pipes().at(2).get()));
}

TEST_F(WorkerLinksTest, WhatTheWorkerSaidOfItselfIsToldToTheNextProxy) {
  UseBoard();
  const Pipes pipes = Add(kWeb, kWebId);
  links_.Attach(kWeb);
  notes_.SetLaunch(kWeb, 1);
  notes_.SetTraits(kWeb, {"python/1.0", 1, {"drain"}});
  ConnectProxy();
  links_.TakeOver(kNext);
  EXPECT_THAT(proxy_end_->Said(), ElementsAre("attach 1/0/7", "taken over"));
  EXPECT_EQ(proxy_end_->attach().traits().connector(), "python/1.0");
  EXPECT_THAT(proxy_end_->attach().traits().features(), ElementsAre("drain"));
}

TEST_F(WorkerLinksTest, WithoutAProxyALinkWaitsForOne) {
  UseBoard();
  const Pipes pipes = Add(kWeb, kWebId);
  links_.Attach(kWeb);
  EXPECT_THAT(keeper_end_.Said(), IsEmpty());
  ConnectProxy();
  EXPECT_EQ(links_.TakeOver(kNext), 0U);
  EXPECT_THAT(proxy_end_->Said(), ElementsAre("attach 1/0/7", "taken over"));
}

TEST_F(WorkerLinksTest, ALinkThatGetsNoRecordIsLostInALaterTurn) {
  UseBoard();
  ConnectProxy();
  std::vector<Pipes> pipes;
  for (uint32_t i = 0; i <= kRecords; ++i) {
    const InstanceKey key{"web", i, 7};
    pipes.push_back(Add(key, kWebId));
    links_.Attach(key);
  }
  EXPECT_THAT(lost_, IsEmpty());
  RunUntil(*loop_, [this] { return !lost_.empty(); });
  EXPECT_THAT(lost_, ElementsAre("web"));
}

// ---- The next proxy ----

TEST_F(WorkerLinksTest, ReadyAndDrainAreRepeatedToANewProxy) {
  UseBoard();
  ConnectProxy();
  const Pipes pipes = Add(kWeb, kWebId);
  links_.Attach(kWeb);
  links_.Ready(kWeb);
  links_.Drain(kWeb, supervisor::StopReason::kForGood, absl::Hours(1));
  EXPECT_THAT(proxy_end_->Said(),
              ElementsAre("attach 1/0/7", "ready 1/0/7", "drain 1/0/7"));
  ConnectProxy();
  links_.TakeOver(kNext);
  EXPECT_THAT(proxy_end_->Said(), ElementsAre("attach 1/0/7", "ready 1/0/7",
                                              "drain 1/0/7", "taken over"));
  EXPECT_TRUE(proxy_end_->drain().for_good());
  EXPECT_LE(proxy_end_->drain().deadline_ms(), 3'600'000U);
  EXPECT_GT(proxy_end_->drain().deadline_ms(), 3'500'000U);
}

TEST_F(WorkerLinksTest, ADrainWhoseTimeIsOverGetsNoMore) {
  UseBoard();
  const Pipes pipes = Add(kWeb, kWebId);
  links_.Attach(kWeb);
  links_.Drain(kWeb, supervisor::StopReason::kForGood, absl::ZeroDuration());
  ConnectProxy();
  links_.TakeOver(kNext);
  proxy_end_->Said();
  EXPECT_EQ(proxy_end_->drain().deadline_ms(), 0U);
}

TEST_F(WorkerLinksTest, WhatIsDetachedIsNotAttachedAgain) {
  UseBoard();
  ConnectProxy();
  const Pipes pipes = Add(kWeb, kWebId);
  links_.Attach(kWeb);
  links_.Detach(kWeb);
  EXPECT_THAT(proxy_end_->Said(), ElementsAre("attach 1/0/7", "detach 1/0/7"));
  ConnectProxy();
  links_.TakeOver(kNext);
  EXPECT_THAT(proxy_end_->Said(), ElementsAre("taken over"));
}

TEST_F(WorkerLinksTest, ATornLinkIsReportedAndNotAttached) {
  UseBoard();
  ConnectProxy();
  const Pipes web = Add(kWeb, kWebId);
  const Pipes api = Add(kApi, kApiId);
  links_.Attach(kWeb);
  links_.Attach(kApi);
  RecordOf(kWebId).owner = kDead;
  RecordOf(kWebId).marks.busy_out = 1;
  RecordOf(kApiId).owner = kDead;
  ConnectProxy();
  EXPECT_EQ(links_.TakeOver(kNext), 1U);
  EXPECT_THAT(torn_, ElementsAre("web"));
  EXPECT_THAT(proxy_end_->Said(), ElementsAre("attach 2/0/7", "taken over"));
}

TEST_F(WorkerLinksTest, ATornLinkIsReportedOnce) {
  UseBoard();
  ConnectProxy();
  const Pipes pipes = Add(kWeb, kWebId);
  links_.Attach(kWeb);
  RecordOf(kWebId).owner = kDead;
  RecordOf(kWebId).marks.busy_in = 1;
  ConnectProxy();
  links_.TakeOver(kNext);
  ConnectProxy();
  EXPECT_EQ(links_.TakeOver(kNext + 1), 0U);
  EXPECT_THAT(torn_, ElementsAre("web"));
}

TEST_F(WorkerLinksTest, ABusyLinkOfTheProxyThatRunsIsWhole) {
  UseBoard();
  const Pipes pipes = Adopt(kWeb, kWebId);
  ConnectProxy();
  links_.TakeOver(kDead);
  RecordOf(kWebId).owner = kDead;  // Which lives.
  RecordOf(kWebId).marks.busy_in = 1;
  EXPECT_EQ(links_.TakeOver(kDead), 0U);
}

// ---- The next agent ----

TEST_F(WorkerLinksTest, AnAdoptedLinkIsAttachedAndReadyIfItWas) {
  UseBoard();
  const Pipes web = Adopt(kWeb, kWebId, /*ready=*/true);
  const Pipes api = Adopt(kApi, kApiId, /*ready=*/false);
  links_.EndAdoption();
  ConnectProxy();
  EXPECT_EQ(links_.TakeOver(kNext), 0U);
  EXPECT_THAT(proxy_end_->Said(), ElementsAre("attach 2/0/7", "attach 1/0/7",
                                              "ready 1/0/7", "taken over"));
}

TEST_F(WorkerLinksTest, AnAdoptedLinkWithoutPipesCountsAsTorn) {
  UseBoard();
  links_.Adopt(kWeb, kWebId, UniqueFd(), std::move(CreatePipe()->read_end),
               true);
  links_.Adopt(kApi, kApiId, std::move(CreatePipe()->write_end), UniqueFd(),
               true);
  ConnectProxy();
  EXPECT_EQ(links_.TakeOver(kNext), 2U);
  EXPECT_THAT(torn_, ElementsAre("api", "web"));
  EXPECT_THAT(proxy_end_->Said(), ElementsAre("taken over"));
}

TEST_F(WorkerLinksTest, WithAnUnknownBoardAdoptedLinksCountAsTornNewOnesNot) {
  UseBoard(/*nothing_known=*/true);
  const Pipes adopted = Adopt(kWeb, kWebId);
  const Pipes fresh = Add(kApi, kApiId);
  links_.Attach(kApi);
  ConnectProxy();
  EXPECT_EQ(links_.TakeOver(kNext), 1U);
  EXPECT_THAT(torn_, ElementsAre("web"));
  EXPECT_THAT(proxy_end_->Said(), ElementsAre("attach 2/0/7", "taken over"));
}

TEST_F(WorkerLinksTest, RecordsOfLinksThatNobodyAdoptedAreReturned) {
  UseBoard();
  ConnectProxy();
  Add(kWeb, kWebId);
  links_.Attach(kWeb);
  WorkerLinks next{{*loop_, keeper_, proxy_, *logs_, notes_, {}, {}}};
  const auto duplicate = [](int fd) {
    return UniqueFd(fcntl(fd, F_DUPFD_CLOEXEC, 0));
  };
  next.UseBoard(LinkBoard::Adopt(duplicate(links_.records().links_fd),
                                 duplicate(links_.records().sessions_fd))
                    .value(),
                /*nothing_known=*/false);
  next.EndAdoption();
  EXPECT_FALSE(HasRecord(kWebId));
}

// ---- The end ----

TEST_F(WorkerLinksTest, TheRecordIsReturnedWhenTheProcessIsForgotten) {
  UseBoard();
  ConnectProxy();
  const Pipes pipes = Add(kWeb, kWebId);
  links_.Attach(kWeb);
  EXPECT_TRUE(HasRecord(kWebId));
  links_.Detach(kWeb);
  links_.Forget(kWeb);
  links_.Forget(kWeb);
  EXPECT_FALSE(HasRecord(kWebId));
}

TEST_F(WorkerLinksTest, OfALinkThatIsNotKnownNothingIsSaid) {
  UseBoard();
  ConnectProxy();
  links_.Attach(kWeb);
  links_.Ready(kWeb);
  links_.Drain(kWeb, supervisor::StopReason::kForGood, absl::Hours(1));
  links_.Detach(kWeb);
  EXPECT_THAT(proxy_end_->Said(), IsEmpty());
}

}  // namespace
}  // namespace apm::agent
