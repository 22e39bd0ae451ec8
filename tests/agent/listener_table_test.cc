#include "agent/listener_table.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/config/listen_address.h"
#include "apm/internal/v1/keeper.pb.h"
#include "base/os/channel.h"
#include "base/os/event_loop.h"
#include "tests/agent/silent_events.h"
#include "tests/testing/status_matchers.h"

namespace apm::agent {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::ElementsAre;

constexpr std::string_view kAnyPort = "http://127.0.0.1:0";

class ListenerTableTest : public ::testing::Test {
 protected:
  static WorkerRecord Worker(const std::string& name,
                             const std::vector<std::string>& addresses) {
    WorkerRecord record;
    record.desired.name = name;
    record.desired.definition.name = name;
    for (const std::string& address : addresses) {
      record.desired.definition.listeners.push_back(
          config::ParseListenAddress(address, config::AddressForm::kConfigFile,
                                     "/tmp")
              .value());
    }
    return record;
  }

  static uint16_t Port(const WorkerRecord& record) {
    return record.listeners.at(0).bound.address.port;
  }

  // What the keeper has been told since the last call: "put NAME", "drop NAME".
  std::vector<std::string> Told() {
    keeper_.FetchFd("");  // The last message of those to wait for.
    loop_->Run();
    return std::exchange(told_, {});
  }

  void SetUp() override {
    const auto hear = [this](std::string_view bytes, std::vector<UniqueFd>) {
      internal::v1::ToKeeper message;
      ASSERT_TRUE(
          message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
      if (message.has_put_fd())
        told_.push_back("put " + message.put_fd().name());
      if (message.has_drop_fd()) {
        told_.push_back("drop " + message.drop_fd().name());
      }
      if (message.has_fetch_fd()) loop_->Stop();
    };
    ASSERT_THAT(hearing_.Start(hear, [](const absl::Status&) {}), IsOk());
    ASSERT_THAT(keeper_.Start(), IsOk());
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  std::pair<UniqueFd, UniqueFd> ends_ = CreateChannelPair().value();
  Channel hearing_{*loop_, std::move(ends_.second)};
  std::vector<std::string> told_;
  SilentEvents events_;
  KeeperClient keeper_{*loop_, std::move(ends_.first), events_};
  ProxyClient proxy_{*loop_, events_};
  ListenerTable table_{keeper_, proxy_};
};

TEST_F(ListenerTableTest, TheKeeperDropsWhatItWasGiven) {
  WorkerRecord web = Worker("web", {std::string(kAnyPort)});
  ASSERT_THAT(table_.Open(web), IsOk());
  EXPECT_NE(Port(web), 0);
  EXPECT_THAT(Told(), ElementsAre("put listener:web:http://127.0.0.1:0"));
  table_.Close(web);
  EXPECT_THAT(Told(), ElementsAre("drop listener:web:http://127.0.0.1:0"));
}

TEST_F(ListenerTableTest, OpensAllOrNone) {
  WorkerRecord holder = Worker("holder", {std::string(kAnyPort)});
  ASSERT_THAT(table_.Open(holder), IsOk());
  const std::string taken = "http://127.0.0.1:" + std::to_string(Port(holder));
  Told();

  WorkerRecord web = Worker("web", {std::string(kAnyPort), taken});
  EXPECT_THAT(table_.Open(web), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_TRUE(web.listeners.empty());
  EXPECT_THAT(Told(), ElementsAre("drop listener:web:http://127.0.0.1:0"));
}

TEST_F(ListenerTableTest, AChangeKeepsWhatStaysAndClosesWhatIsGone) {
  WorkerRecord web = Worker("web", {"http://127.0.0.1:0", "ws://127.0.0.2:0"});
  ASSERT_THAT(table_.Open(web), IsOk());
  const uint16_t port = Port(web);
  Told();

  const WorkerRecord wanted =
      Worker("web", {"http://127.0.0.3:0", "http://127.0.0.1:0"});
  auto prepared = table_.Prepare(wanted, &web);
  ASSERT_THAT(prepared.status(), IsOk());
  web.desired = wanted.desired;
  table_.Commit(web, *std::move(prepared));
  EXPECT_THAT(Told(), ElementsAre("put listener:web:http://127.0.0.3:0",
                                  "drop listener:web:ws://127.0.0.2:0"));
  ASSERT_EQ(web.listeners.size(), 2);
  EXPECT_EQ(web.listeners[1].bound.address.port, port);
}

TEST_F(ListenerTableTest, AChangeThatCannotBeBoundChangesNothing) {
  WorkerRecord holder = Worker("holder", {std::string(kAnyPort)});
  WorkerRecord web = Worker("web", {std::string(kAnyPort)});
  ASSERT_THAT(table_.Open(holder), IsOk());
  ASSERT_THAT(table_.Open(web), IsOk());
  const uint16_t port = Port(web);

  const WorkerRecord wanted =
      Worker("web", {"http://127.0.0.1:" + std::to_string(Port(holder))});
  EXPECT_THAT(table_.Prepare(wanted, &web).status(),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(Port(web), port);
}

TEST_F(ListenerTableTest, TakesOverWhatTheKeeperKept) {
  WorkerRecord before = Worker("web", {std::string(kAnyPort)});
  ASSERT_THAT(table_.Open(before), IsOk());

  ListenerTable next(keeper_, proxy_);
  next.AddStored("listener:web:http://127.0.0.1:0",
                 UniqueFd(dup(before.listeners[0].bound.fd.get())));
  WorkerRecord after = Worker("web", {std::string(kAnyPort)});
  ASSERT_THAT(next.Open(after), IsOk());
  EXPECT_EQ(Port(after), Port(before));
  EXPECT_EQ(after.listeners[0].id, before.listeners[0].id);
}

TEST_F(ListenerTableTest, WhatIsNoListenerIsReplaced) {
  table_.AddStored("listener:web:http://127.0.0.1:0",
                   UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  WorkerRecord web = Worker("web", {std::string(kAnyPort)});
  ASSERT_THAT(table_.Open(web), IsOk());
  EXPECT_THAT(Told(), ElementsAre("drop listener:web:http://127.0.0.1:0",
                                  "put listener:web:http://127.0.0.1:0"));
}

// Two names that were searched for: the hashes of their listeners are equal.
TEST_F(ListenerTableTest, ANumberIsNotGivenTwice) {
  WorkerRecord first = Worker("w449599", {std::string(kAnyPort)});
  WorkerRecord second = Worker("w612382", {std::string(kAnyPort)});
  ASSERT_EQ(StableId("listener:w449599:http://127.0.0.1:0"),
            StableId("listener:w612382:http://127.0.0.1:0"));
  ASSERT_THAT(table_.Open(first), IsOk());
  EXPECT_THAT(table_.Open(second), StatusIs(absl::StatusCode::kAlreadyExists));
  table_.Close(first);
  EXPECT_THAT(table_.Open(second), IsOk());
}

}  // namespace
}  // namespace apm::agent
