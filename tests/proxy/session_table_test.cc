#include "proxy/upstream/session_table.h"

#include <set>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace apm::upstream {
namespace {

class NobodysPeer : public SessionPeer {
 public:
  void OnDispatched() override {}
  void OnQueued() override {}
  void OnWorkerFrame(const ipc::WorkerHead&, std::string_view, bool) override {}
  void OnWorkerClosed(std::optional<int>, std::string_view) override {}
  void OnWorkerLost(Loss) override {}
  void OnWorkerWritable() override {}
  void OnDrain(const DrainOrder&) override {}
  void OnWorkerDrained() override {}
  void OnDrainDeadline() override {}
  bool MayRetry() const override { return false; }
};

class SessionTableTest : public ::testing::Test {
 protected:
  Session& Open() {
    Session& session = table_.Open();
    session.peer = &peer_;
    return session;
  }

  NobodysPeer peer_;
  SessionTable table_;
};

TEST_F(SessionTableTest, FindsAnOpenSessionByItsId) {
  Session& session = Open();
  EXPECT_EQ(table_.Find(session.id()), &session);
}

TEST_F(SessionTableTest, IdsBeginWithTheIncarnationAndAreUrlSafe) {
  table_.SetIncarnation(0x2a);
  const std::string id(Open().id());
  EXPECT_THAT(id, ::testing::StartsWith("2a-"));
  EXPECT_EQ(id.find_first_not_of("0123456789abcdef-"), std::string::npos);
}

TEST_F(SessionTableTest, AnEndedSessionIsNotFound) {
  Session& session = Open();
  const std::string id(session.id());
  table_.Free(session);
  EXPECT_EQ(table_.Find(id), nullptr);
}

TEST_F(SessionTableTest, AReusedSlotIsAnotherSession) {
  Session& first = Open();
  const std::string id(first.id());
  table_.Free(first);
  Session& second = Open();
  ASSERT_EQ(&first, &second) << "the slot was to be reused";
  EXPECT_NE(second.id(), id);
  EXPECT_EQ(table_.Find(id), nullptr);
}

TEST_F(SessionTableTest, IdsOfAnotherIncarnationAreNotFound) {
  const std::string id(Open().id());
  table_.SetIncarnation(5);
  Open();
  EXPECT_EQ(table_.Find("5" + id.substr(1)), nullptr);
}

TEST_F(SessionTableTest, AnIdCanBeFormedAgainFromItsNumbers) {
  table_.SetIncarnation(0xabc);
  Open();
  const Session& session = Open();
  EXPECT_EQ(FormatSessionId(0xabc, session.slot, session.random), session.id());
  EXPECT_LE(FormatSessionId(~uint64_t{0}, ~uint32_t{0}, 0).size(),
            kMaxSessionIdBytes);
}

TEST_F(SessionTableTest, NonsenseIsNotFound) {
  const std::string id(Open().id());
  for (const std::string& nonsense :
       {std::string(), std::string("0-"), std::string("0-zz-1"),
        std::string("0-ffffffff-0"), std::string("0-ffffffffffff-0"),
        id.substr(0, id.size() - 1), id + "0", std::string(1000, '0')}) {
    EXPECT_EQ(table_.Find(nonsense), nullptr) << nonsense;
  }
}

TEST_F(SessionTableTest, IdsDoNotRepeat) {
  std::set<std::string> ids;
  for (int i = 0; i < 10'000; ++i) {
    Session& session = Open();
    ids.emplace(session.id());
    table_.Free(session);
  }
  EXPECT_EQ(ids.size(), 10'000u);
}

}  // namespace
}  // namespace apm::upstream
