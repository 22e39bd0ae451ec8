#include "agent/keeper_client.h"

#include <signal.h>
#include <unistd.h>

#include <cstdint>
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

#include "apm/internal/v1/keeper.pb.h"
#include "base/os/channel.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"
#include "tests/testing/status_matchers.h"

namespace apm::agent {
namespace {

namespace pb = ::apm::internal::v1;
using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::Pair;

const InstanceKey kWeb{"web", 3, uint64_t{1} << 32 | 5};

pb::ProcessKey ProtoKey() {
  pb::ProcessKey key;
  key.set_worker(kWeb.worker);
  key.set_instance(kWeb.instance);
  key.set_generation(kWeb.generation);
  return key;
}

// What was heard, as far as the tests ask.
struct Heard final : KeeperEvents {
  void OnWelcome(Welcome w) override { welcome = std::move(w); }
  void OnSpawned(const InstanceKey& k, pid_t p, uint64_t t) override {
    key = k;
    pid = p;
    ticks = t;
  }
  void OnSpawnFailed(const InstanceKey& k, std::string_view step, int error,
                     std::string_view detail) override {
    key = k;
    failure = std::string(step) + " " + std::to_string(error) + " " +
              std::string(detail);
  }
  void OnExited(const InstanceKey& k, const ProcessExit& e) override {
    key = k;
    exit = e;
  }
  void OnStoredFd(std::string_view n, UniqueFd f) override {
    name = n;
    fd = std::move(f);
  }
  void OnProxyStarted(pid_t p, uint64_t i, UniqueFd f) override {
    pid = p;
    incarnation = i;
    fd = std::move(f);
  }
  void OnProxyExited(const ProxyExit& e) override { proxy_exit = e; }
  void OnShutdownRequested() override { shutdown_requested = true; }
  void OnReexeced(const ReexecReport& r) override { reexec = r; }
  void OnKeeperGone(const absl::Status& r) override { gone = r; }

  Welcome welcome;
  InstanceKey key;
  pid_t pid = 0;
  uint64_t ticks = 0;
  uint64_t incarnation = 0;
  std::string failure;
  ProcessExit exit;
  std::string name;
  UniqueFd fd;
  ProxyExit proxy_exit;
  ReexecReport reexec;
  bool shutdown_requested = false;
  absl::Status gone;
};

class KeeperClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto ends = CreateChannelPair().value();
    keeper_ = std::make_unique<Channel>(*loop_, std::move(ends.first));
    client_.emplace(*loop_, std::move(ends.second), heard_);
    ASSERT_THAT(keeper_->Start(
                    [this](std::string_view bytes, std::vector<UniqueFd> fds) {
                      pb::ToKeeper message;
                      ASSERT_TRUE(message.ParseFromArray(
                          bytes.data(), static_cast<int>(bytes.size())));
                      told_.push_back(std::move(message));
                      fds_ = std::move(fds);
                    },
                    [](const absl::Status&) {}),
                IsOk());
    ASSERT_THAT(client_->Start(), IsOk());
  }

  // What the keeper says now has been heard.
  void Say(const pb::FromKeeper& message, std::vector<int> fds = {}) {
    SayBytes(message.SerializeAsString(), std::move(fds));
  }
  void SayBytes(std::string_view bytes, std::vector<int> fds = {}) {
    ASSERT_THAT(keeper_->Send(bytes, fds), IsOk());
    loop_->RunOnce(absl::InfiniteDuration());
  }

  // The one message that the client has sent.
  pb::ToKeeper Told() {
    loop_->RunOnce(absl::InfiniteDuration());
    EXPECT_EQ(told_.size(), 1U);
    pb::ToKeeper message = told_.empty() ? pb::ToKeeper() : told_.front();
    told_.clear();
    return message;
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  Heard heard_;
  std::unique_ptr<Channel> keeper_;
  std::optional<KeeperClient> client_;
  std::vector<pb::ToKeeper> told_;
  std::vector<UniqueFd> fds_;
};

// ---- said to the keeper ----

TEST_F(KeeperClientTest, SpawnCarriesTheWholeRequestAndThreeDescriptors) {
  ExecRequest request;
  request.executable = "/bin/echo";
  request.argv = {"echo", "hi"};
  request.env = {"A=1"};
  request.cwd = "/tmp";
  request.change_user = true;
  request.uid = 1;
  request.gid = 2;
  request.groups = {3, 4};
  ASSERT_THAT(client_->Spawn(kWeb, request, {0, 1, 2}), IsOk());
  const pb::ToKeeper message = Told();
  EXPECT_EQ(fds_.size(), 3U);
  EXPECT_EQ(message.spawn().key().worker(), "web");
  EXPECT_EQ(message.spawn().key().instance(), 3U);
  EXPECT_EQ(message.spawn().key().generation(), kWeb.generation);
  const pb::ExecSpec& spec = message.spawn().spec();
  EXPECT_EQ(spec.executable(), "/bin/echo");
  EXPECT_THAT(spec.argv(), ElementsAre("echo", "hi"));
  EXPECT_THAT(spec.env(), ElementsAre("A=1"));
  EXPECT_EQ(spec.cwd(), "/tmp");
  EXPECT_TRUE(spec.change_user());
  EXPECT_EQ(spec.uid(), 1U);
  EXPECT_EQ(spec.gid(), 2U);
  EXPECT_THAT(spec.groups(), ElementsAre(3, 4));
}

TEST_F(KeeperClientTest, SignalsAProcessOrItsGroup) {
  client_->Signal(kWeb, SIGTERM, /*to_group=*/false);
  const pb::ToKeeper one = Told();
  EXPECT_EQ(one.signal().key().generation(), kWeb.generation);
  EXPECT_EQ(one.signal().signal(), SIGTERM);
  EXPECT_FALSE(one.signal().to_group());
  client_->Signal(kWeb, SIGTERM, /*to_group=*/true);
  EXPECT_TRUE(Told().signal().to_group());
}

TEST_F(KeeperClientTest, AcknowledgesAnExit) {
  client_->AckExit(kWeb);
  EXPECT_EQ(Told().ack_exit().key().generation(), kWeb.generation);
}

TEST_F(KeeperClientTest, PutsFetchesAndDropsDescriptors) {
  client_->PutFd("links", STDIN_FILENO);
  EXPECT_EQ(Told().put_fd().name(), "links");
  EXPECT_EQ(fds_.size(), 1U);
  client_->FetchFd("links");
  EXPECT_EQ(Told().fetch_fd().name(), "links");
  client_->DropFd("links");
  EXPECT_EQ(Told().drop_fd().name(), "links");
}

TEST_F(KeeperClientTest, PutsAndDropsNotes) {
  const std::string bytes("\0\xff", 2);
  client_->PutState("instance:web/0", bytes);
  const pb::ToKeeper message = Told();
  EXPECT_EQ(message.put_state().name(), "instance:web/0");
  EXPECT_EQ(message.put_state().value(), bytes);
  client_->DropState("instance:web/0");
  EXPECT_EQ(Told().drop_state().name(), "instance:web/0");
}

TEST_F(KeeperClientTest, AsksForAReexecAndForTheEnd) {
  client_->Reexec();
  EXPECT_TRUE(Told().has_reexec());
  client_->Shutdown();
  EXPECT_TRUE(Told().has_shutdown());
}

// ---- heard from the keeper ----

TEST_F(KeeperClientTest, WelcomeTellsAllThatWasKept) {
  pb::FromKeeper message;
  pb::Welcome& welcome = *message.mutable_welcome();
  welcome.set_keeper_pid(12);
  welcome.set_agent_incarnation(2);
  welcome.add_stored_fds("links");
  pb::PutState& note = *welcome.add_states();
  note.set_name("instance:web/3");
  note.set_value("running");
  pb::RunningProcess& process = *welcome.add_running();
  *process.mutable_key() = ProtoKey();
  process.set_pid(34);
  process.set_start_ticks(56);
  process.set_started_unix_ms(78);
  Say(message);

  EXPECT_EQ(heard_.welcome.keeper, 12);
  EXPECT_EQ(heard_.welcome.agent_incarnation, 2U);
  EXPECT_THAT(heard_.welcome.stored_fds, ElementsAre("links"));
  EXPECT_THAT(heard_.welcome.states,
              ElementsAre(Pair("instance:web/3", "running")));
  ASSERT_EQ(heard_.welcome.running.size(), 1U);
  const RunningProcess& running = heard_.welcome.running.front();
  EXPECT_EQ(running.key, kWeb);
  EXPECT_EQ(running.pid, 34);
  EXPECT_EQ(running.start_ticks, 56U);
  EXPECT_EQ(running.started, absl::FromUnixMillis(78));
  EXPECT_FALSE(running.starting);
  EXPECT_FALSE(running.exited);
}

TEST_F(KeeperClientTest, WelcomeTellsWhatIsStartingFromWhatHasExited) {
  pb::FromKeeper message;
  message.mutable_welcome()->add_running()->set_starting(true);
  message.mutable_welcome()->add_running()->set_exited(true);
  Say(message);
  ASSERT_EQ(heard_.welcome.running.size(), 2U);
  EXPECT_TRUE(heard_.welcome.running[0].starting);
  EXPECT_FALSE(heard_.welcome.running[0].exited);
  EXPECT_FALSE(heard_.welcome.running[1].starting);
  EXPECT_TRUE(heard_.welcome.running[1].exited);
}

TEST_F(KeeperClientTest, HearsOfASpawn) {
  pb::FromKeeper message;
  *message.mutable_spawned()->mutable_key() = ProtoKey();
  message.mutable_spawned()->set_pid(12);
  message.mutable_spawned()->set_start_ticks(34);
  Say(message);
  EXPECT_EQ(heard_.key, kWeb);
  EXPECT_EQ(heard_.pid, 12);
  EXPECT_EQ(heard_.ticks, 34U);
}

TEST_F(KeeperClientTest, HearsOfASpawnThatFailed) {
  pb::FromKeeper message;
  *message.mutable_spawn_failed()->mutable_key() = ProtoKey();
  message.mutable_spawn_failed()->set_step("exec");
  message.mutable_spawn_failed()->set_error(2);
  message.mutable_spawn_failed()->set_detail("/bin/\xff");
  Say(message);
  EXPECT_EQ(heard_.key, kWeb);
  EXPECT_EQ(heard_.failure, "exec 2 /bin/\xff");
}

TEST_F(KeeperClientTest, HearsOfAnExit) {
  pb::FromKeeper message;
  pb::Exited& exited = *message.mutable_exited();
  *exited.mutable_key() = ProtoKey();
  exited.set_status(7);
  exited.set_user_us(1);
  exited.set_system_us(2);
  exited.set_max_rss_kb(3);
  exited.set_exited_unix_ms(4);
  Say(message);
  EXPECT_EQ(heard_.key, kWeb);
  EXPECT_EQ(heard_.exit.code, 7);
  EXPECT_EQ(heard_.exit.signal, 0);
  EXPECT_EQ(heard_.exit.user_time, absl::Microseconds(1));
  EXPECT_EQ(heard_.exit.system_time, absl::Microseconds(2));
  EXPECT_EQ(heard_.exit.max_rss_kb, 3U);
  EXPECT_EQ(heard_.exit.unix_ms, 4);
}

TEST_F(KeeperClientTest, TheStatusOfASignaledExitIsTheSignal) {
  pb::FromKeeper message;
  message.mutable_exited()->set_signaled(true);
  message.mutable_exited()->set_core_dumped(true);
  message.mutable_exited()->set_status(SIGSEGV);
  Say(message);
  EXPECT_EQ(heard_.exit.code, 0);
  EXPECT_EQ(heard_.exit.signal, SIGSEGV);
  EXPECT_TRUE(heard_.exit.core_dumped);
}

TEST_F(KeeperClientTest, AStoredDescriptorComesWithItsName) {
  pb::FromKeeper message;
  message.mutable_stored_fd()->set_name("links");
  message.mutable_stored_fd()->set_found(true);
  Say(message, {STDIN_FILENO});
  EXPECT_EQ(heard_.name, "links");
  EXPECT_TRUE(heard_.fd);
}

TEST_F(KeeperClientTest, ADescriptorThatIsNotStoredIsNone) {
  pb::FromKeeper message;
  message.mutable_stored_fd()->set_name("links");
  Say(message);
  EXPECT_EQ(heard_.name, "links");
  EXPECT_FALSE(heard_.fd);
}

TEST_F(KeeperClientTest, AProxyComesWithItsChannel) {
  pb::FromKeeper message;
  message.mutable_proxy_started()->set_pid(12);
  message.mutable_proxy_started()->set_incarnation(3);
  Say(message, {STDIN_FILENO});
  EXPECT_EQ(heard_.pid, 12);
  EXPECT_EQ(heard_.incarnation, 3U);
  EXPECT_TRUE(heard_.fd);
}

TEST_F(KeeperClientTest, HearsHowAProxyEndedAndWhenTheNextOneComes) {
  pb::FromKeeper message;
  pb::ProxyExited& exited = *message.mutable_proxy_exited();
  exited.set_pid(12);
  exited.set_incarnation(3);
  exited.set_signaled(true);
  exited.set_status(SIGKILL);
  exited.set_restart_in_ms(200);
  Say(message);
  EXPECT_EQ(heard_.proxy_exit.pid, 12);
  EXPECT_EQ(heard_.proxy_exit.incarnation, 3U);
  EXPECT_EQ(heard_.proxy_exit.signal, SIGKILL);
  EXPECT_EQ(heard_.proxy_exit.restart_in, absl::Milliseconds(200));
}

TEST_F(KeeperClientTest, HearsOfTheReexec) {
  pb::FromKeeper message;
  pb::Reexeced& reexeced = *message.mutable_reexeced();
  reexeced.set_version("1.2.3");
  reexeced.set_error("no such file");
  reexeced.set_processes(4);
  reexeced.set_descriptors(5);
  Say(message);
  EXPECT_EQ(heard_.reexec.version, "1.2.3");
  EXPECT_EQ(heard_.reexec.error, "no such file");
  EXPECT_EQ(heard_.reexec.processes, 4U);
  EXPECT_EQ(heard_.reexec.descriptors, 5U);
}

TEST_F(KeeperClientTest, HearsOfTheRequestToShutDown) {
  pb::FromKeeper message;
  message.mutable_shutdown_requested();
  Say(message);
  EXPECT_TRUE(heard_.shutdown_requested);
}

TEST_F(KeeperClientTest, WhatIsNoMessageOrOneFromTheFutureIsIgnored) {
  SayBytes("\xff\xff");
  SayBytes("");
  SayBytes(std::string("\xfa\x01\x00", 3));
  EXPECT_THAT(heard_.gone, IsOk());
  pb::FromKeeper message;
  message.mutable_shutdown_requested();
  Say(message);
  EXPECT_TRUE(heard_.shutdown_requested);
}

TEST_F(KeeperClientTest, SaysThatTheKeeperHasGoneAndThenKeepsQuiet) {
  keeper_.reset();
  loop_->RunOnce(absl::InfiniteDuration());
  EXPECT_THAT(heard_.gone, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(client_->Spawn(kWeb, {}, {0, 1, 2}),
              StatusIs(absl::StatusCode::kUnavailable));
  client_->PutState("a", "b");
  client_->Shutdown();
}

}  // namespace
}  // namespace apm::agent
