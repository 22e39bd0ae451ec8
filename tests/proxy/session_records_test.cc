// When a session's record counts. Memory is looked at as the next proxy would
// find it, if this one were killed there.

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/event_loop.h"
#include "base/os/shared_memory.h"
#include "base/os/unique_fd.h"
#include "ipc/worker_link.h"
#include "proxy/counters.h"
#include "proxy/link_memory.h"
#include "proxy/link_records.h"
#include "proxy/upstream/session_table.h"
#include "proxy/upstream/worker.h"
#include "tests/ipc/wire.h"
#include "tests/testing/status_matchers.h"

namespace apm::upstream {
namespace {

using ::apm::testing::IsOk;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint32_t kRecords = 4;
constexpr uint32_t kLink = 1;
constexpr uint64_t kDead = 6;
constexpr uint64_t kMine = 7;
constexpr InstanceKey kKey{.worker_id = 1, .instance = 0, .generation = 1};

class SilentUpstream final : public UpstreamEvents {
 public:
  void OnHello(const InstanceKey&, const WorkerTraits&) override {}
  void OnDrained(const InstanceKey&, uint32_t) override {}
  void OnLinkLost(const InstanceKey&) override {}
  void OnWarning(uint32_t, std::string_view) override {}
};

class Peer final : public SessionPeer {
 public:
  void OnDispatched() override {}
  void OnQueued() override {}
  void OnWorkerFrame(const ipc::WorkerHead&, std::string_view, bool) override {}
  void OnWorkerClosed(std::optional<int>, std::string_view) override {
    if (on_closed) on_closed();
  }
  void OnWorkerLost(Loss) override {}
  void OnWorkerWritable() override {}
  void OnDrain(const DrainOrder&) override {}
  void OnWorkerDrained() override {}
  void OnDrainDeadline() override {}
  bool MayRetry() const override { return false; }

  std::function<void()> on_closed;
};

class SessionRecordsTest : public ::testing::Test {
 protected:
  SessionRecordsTest() {
    Prepare<proxy::LinkRecord>(links_, proxy::kLinkRecordsMagic);
    Prepare<proxy::SessionRecord>(sessions_, proxy::kSessionRecordsMagic);
    table_.SetIncarnation(kMine);
  }

  template <typename Record>
  static void Prepare(const SharedMemory& memory, uint64_t magic) {
    auto* header = reinterpret_cast<proxy::RecordsHeader*>(memory.data());
    header->magic = magic;
    header->record_bytes = sizeof(Record);
    header->count = kRecords;
  }

  proxy::LinkRecord& link() const {
    return reinterpret_cast<proxy::LinkRecord*>(
        links_.data() + sizeof(proxy::RecordsHeader))[kLink];
  }
  proxy::SessionRecord& record(uint32_t number) const {
    return reinterpret_cast<proxy::SessionRecord*>(
        sessions_.data() + sizeof(proxy::RecordsHeader))[number];
  }

  // The ids of the records that count.
  std::vector<std::string> Noted() const {
    std::vector<std::string> ids;
    for (uint32_t i = 0; i < kRecords; ++i) {
      const uint64_t incarnation = record(i).incarnation;
      if (incarnation == 0) continue;
      ids.push_back(
          FormatSessionId(incarnation, record(i).slot, record(i).random));
    }
    return ids;
  }

  // A proxy before this one left a session on the link.
  std::string LeaveSession() const {
    record(2).incarnation = kDead;
    record(2).random = 4711;
    record(2).slot = 5;
    record(2).link = kLink;
    return FormatSessionId(kDead, 5, 4711);
  }

  absl::Status Attach() {
    const auto duplicate = [](const SharedMemory& memory) {
      return UniqueFd(fcntl(memory.fd(), F_DUPFD_CLOEXEC, 0));
    };
    EXPECT_THAT(memory_.Use(duplicate(links_), kRecords, duplicate(sessions_),
                            kRecords),
                IsOk());
    int in[2];
    int out[2];
    int stray[2];
    EXPECT_EQ(pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    EXPECT_EQ(pipe2(stray, O_CLOEXEC), 0);
    worker_stdin_.Reset(in[0]);
    worker_stdout_.Reset(out[1]);
    stray_.Reset(stray[0]);
    return worker_.Attach(
        kKey,
        {{UniqueFd(in[1]), UniqueFd(out[0]), UniqueFd(stray[1])}, kLink, {}});
  }

  // As SessionAnnouncer does.
  Session& Announce() {
    Session& session = *worker_.Open(SessionKind::kHttp, peer_);
    session.instance->Output() += "the first frame";
    session.instance->OnAnnounced(session);
    return session;
  }

  void WorkerCloses(const Session& session) {
    const std::string frame = ipc::testing::FromWorker(
        R"({"_command":"closeConnection","_session":")" +
        std::string(session.id()) + R"("})");
    ASSERT_EQ(write(worker_stdout_.get(), frame.data(), frame.size()),
              static_cast<ssize_t>(frame.size()));
  }

  std::string WorkerReads() const {
    fcntl(worker_stdin_.get(), F_SETFL, O_NONBLOCK);
    std::string bytes(size_t{1} << 20, '\0');
    const ssize_t got = read(worker_stdin_.get(), bytes.data(), bytes.size());
    bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return bytes;
  }

  void Turn() { loop_->RunOnce(absl::ZeroDuration()); }

  const SharedMemory links_ =
      SharedMemory::Create("links",
                           proxy::RecordsBytes<proxy::LinkRecord>(kRecords))
          .value();
  const SharedMemory sessions_ =
      SharedMemory::Create("sessions",
                           proxy::RecordsBytes<proxy::SessionRecord>(kRecords))
          .value();
  UniqueFd worker_stdin_;
  UniqueFd worker_stdout_;
  UniqueFd stray_;
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  SessionTable table_;
  proxy::LinkMemory memory_;
  SilentUpstream events_;
  std::vector<char> scratch_ = std::vector<char>(ipc::kLinkReadBytes);
  UpstreamContext context_{*loop_, table_, memory_, events_, scratch_};
  proxy::WorkerCounters counters_{};
  Peer peer_;
  Worker worker_{context_, {}, counters_};
};

TEST_F(SessionRecordsTest, ASessionCountsFromTheWriteThatAnnouncesIt) {
  ASSERT_THAT(Attach(), IsOk());
  const Session& session = Announce();
  EXPECT_THAT(Noted(), IsEmpty());
  Turn();
  EXPECT_THAT(Noted(), ::testing::ElementsAre(session.id()));
}

TEST_F(SessionRecordsTest, ASessionCountsUntilItsConnectionClosedIsWritten) {
  ASSERT_THAT(Attach(), IsOk());
  Session& session = Announce();
  Turn();
  worker_.End(session, "client");
  EXPECT_THAT(Noted(), SizeIs(1));
  Turn();
  EXPECT_THAT(Noted(), IsEmpty());
}

TEST_F(SessionRecordsTest, ASlotThatIsUsedAgainInTheSameTurnCountsOnce) {
  ASSERT_THAT(Attach(), IsOk());
  Session& first = Announce();
  Turn();
  worker_.End(first, "client");
  const Session& second = Announce();
  ASSERT_EQ(&first, &second);  // One's memory is the other's.
  Turn();
  EXPECT_THAT(Noted(), ::testing::ElementsAre(second.id()));
}

TEST_F(SessionRecordsTest, BegunAndEndedInOneTurnNeverCounts) {
  ASSERT_THAT(Attach(), IsOk());
  worker_.End(Announce(), "client");
  EXPECT_THAT(Noted(), IsEmpty());
  Turn();
  EXPECT_THAT(Noted(), IsEmpty());
}

TEST_F(SessionRecordsTest, WhatTheWorkerClosedGoesWhileTheReadIsMarked) {
  ASSERT_THAT(Attach(), IsOk());
  WorkerCloses(Announce());
  bool closed = false;
  peer_.on_closed = [&] {
    closed = true;
    EXPECT_THAT(Noted(), IsEmpty());
    EXPECT_EQ(link().marks.busy_in, 1U);
  };
  Turn();
  Turn();
  EXPECT_TRUE(closed);
  EXPECT_EQ(link().marks.busy_in, 0U);
}

TEST_F(SessionRecordsTest, DeadSessionsCountUntilTheWorkerIsTold) {
  link().owner = kDead;
  const std::string dead = LeaveSession();
  ASSERT_THAT(Attach(), IsOk());
  EXPECT_EQ(link().owner, kMine);
  EXPECT_THAT(Noted(), ::testing::ElementsAre(dead));
  EXPECT_EQ(WorkerReads(), "");
  Turn();
  EXPECT_THAT(Noted(), IsEmpty());
  EXPECT_THAT(WorkerReads(), HasSubstr(dead));
}

TEST_F(SessionRecordsTest, TheWorkerIsToldBeforeItGetsNewSessions) {
  link().owner = kDead;
  const std::string dead = LeaveSession();
  ASSERT_THAT(Attach(), IsOk());
  Announce();
  Turn();
  const std::string read = WorkerReads();
  EXPECT_LT(read.find(dead), read.find("the first frame"));
}

TEST_F(SessionRecordsTest, ALinkThatNobodyHasHadHearsOfNoDeadSession) {
  link().marks.busy_out = 1;  // Of the process that had the record before.
  LeaveSession();
  ASSERT_THAT(Attach(), IsOk());
  EXPECT_THAT(Noted(), IsEmpty());
  EXPECT_EQ(link().owner, kMine);
  EXPECT_FALSE(link().marks.torn());
  Turn();
  EXPECT_EQ(WorkerReads(), "");
}

TEST_F(SessionRecordsTest, ATornLinkIsRefusedAndLeftAsItIs) {
  link().owner = kDead;
  link().marks.busy_out = 1;
  LeaveSession();
  EXPECT_FALSE(Attach().ok());
  EXPECT_EQ(link().owner, kDead);
  EXPECT_THAT(Noted(), SizeIs(1));
}

TEST_F(SessionRecordsTest, NoRecordOutlivesItsWorker) {
  ASSERT_THAT(Attach(), IsOk());
  Announce();
  Turn();
  Session& ended = Announce();
  Announce();
  worker_.End(ended, "client");
  worker_.Detach(kKey);
  EXPECT_THAT(Noted(), IsEmpty());
}

}  // namespace
}  // namespace apm::upstream
