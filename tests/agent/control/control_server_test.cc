// The server from its socket to its answers, with a real client in the same
// process: root or the owner. Other users are in test_callers.py.

#include "agent/control/control_server.h"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include "apm/v1/agent.grpc.pb.h"
#include "apm/v1/config.grpc.pb.h"
#include "apm/v1/log.grpc.pb.h"
#include "apm/v1/worker.grpc.pb.h"
#include "base/os/event_loop.h"
#include "base/os/unix_socket.h"
#include "tests/agent/control/fake_agent_api.h"
#include "tests/testing/status_matchers.h"

namespace apm::control {
namespace {

using ::apm::testing::FakeAgentApi;
using ::apm::testing::IsOk;
using ::testing::HasSubstr;

class ControlServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    api_.status.version = "9.8.7";
    api_.Add("stuck", {}, 1);
    api_.Add("web", {"http://127.0.0.1:3000"}, 2);
    server_ = ControlServer::Create(
                  *loop_, api_,
                  {.socket = socket_, .owner = geteuid(), .allow_groups = {}})
                  .value();
    ASSERT_THAT(server_->Start(), IsOk());
    loop_thread_ = std::thread([this] { loop_->Run(); });
    channel_ = Connect();
  }

  void TearDown() override {
    StopServer();
    loop_->Stop();
    loop_thread_.join();
  }

  std::shared_ptr<grpc::Channel> Connect() const {
    UniqueFd socket =
        ConnectUnix(ParseUnixAddress(socket_).value(), absl::Seconds(5))
            .value();
    fcntl(socket.get(), F_SETFL, O_NONBLOCK);
    return grpc::CreateInsecureChannelFromFd("apm", socket.Release());
  }

  // Runs `work` on the loop and returns when it is done.
  void OnLoop(const std::function<void()>& work) {
    std::promise<void> done;
    loop_->Post([&] {
      work();
      done.set_value();
    });
    done.get_future().get();
  }

  void StopServer() {
    OnLoop([this] {
      if (server_) server_->Stop(absl::Seconds(5));
      server_.reset();
    });
  }

  // Blocks until the verb on "stuck" is with the agent.
  void AwaitStuckCall() {
    for (size_t calls = 0; calls == 0;) {
      OnLoop([&] { calls = api_.unanswered.size(); });
    }
  }

  grpc::Status Restart(const std::string& name,
                       grpc::ClientContext& context) const {
    v1::RestartWorkerRequest request;
    request.set_name(name);
    v1::Worker worker;
    return v1::WorkerService::Stub(channel_).Restart(&context, request,
                                                     &worker);
  }

  // One unary call by name, in bytes: for services whose messages we lack.
  std::string CallBytes(const std::string& method, const std::string& bytes);

  const std::string socket_ = absl::StrCat("@control-server-test-", getpid());
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  FakeAgentApi api_;
  std::unique_ptr<ControlServer> server_;
  std::thread loop_thread_;
  std::shared_ptr<grpc::Channel> channel_;
};

std::string ControlServerTest::CallBytes(const std::string& method,
                                         const std::string& bytes) {
  grpc::GenericStub stub(channel_);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto next = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  // As a stream, which a unary call is too; reflection is one.
  auto call = stub.PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  EXPECT_TRUE(next());
  const grpc::Slice slice(bytes);
  call->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
  EXPECT_TRUE(next());
  grpc::ByteBuffer response;
  call->Read(&response, nullptr);
  EXPECT_TRUE(next());
  grpc::Status status;
  call->Finish(&status, nullptr);
  next();
  grpc::Slice answer;
  EXPECT_TRUE(response.DumpToSingleSlice(&answer).ok());
  queue.Shutdown();
  while (next()) {
  }
  return {reinterpret_cast<const char*>(answer.begin()), answer.size()};
}

TEST_F(ControlServerTest, AnswersWithTheStatusOfTheAgent) {
  grpc::ClientContext context;
  v1::GetStatusResponse response;
  const grpc::Status status =
      v1::AgentService::Stub(channel_).GetStatus(&context, {}, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.version(), "9.8.7");
}

TEST_F(ControlServerTest, ListsWorkersByName) {
  grpc::ClientContext context;
  v1::ListWorkersResponse response;
  ASSERT_TRUE(
      v1::WorkerService::Stub(channel_).List(&context, {}, &response).ok());
  ASSERT_EQ(response.workers_size(), 2);
  EXPECT_EQ(response.workers(0).name(), "stuck");
  EXPECT_EQ(response.workers(1).instances_size(), 2);
}

TEST_F(ControlServerTest, AnErrorKeepsItsCodeAndItsWords) {
  grpc::ClientContext context;
  const grpc::Status status = Restart("wbe", context);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "no worker 'wbe'; look with: apmctl list");
}

TEST_F(ControlServerTest, TheCreatorIsKnown) {
  grpc::ClientContext context;
  v1::CreateWorkerRequest request;
  request.mutable_config()->set_name("new");
  request.mutable_config()->set_exec("/bin/true");
  v1::Worker worker;
  const grpc::Status status =
      v1::WorkerService::Stub(channel_).Create(&context, request, &worker);
  ASSERT_TRUE(status.ok()) << status.error_message();
  OnLoop([this] {
    EXPECT_EQ(api_.last_creator.uid, geteuid());
    EXPECT_EQ(api_.last_creator.pid, getpid());
    EXPECT_TRUE(api_.last_creator.admin);
  });
}

TEST_F(ControlServerTest, ScaleAnswersWithTheNewInstances) {
  grpc::ClientContext context;
  v1::ScaleWorkerRequest request;
  request.set_name("web");
  request.set_instances(5);
  v1::Worker worker;
  const grpc::Status status =
      v1::WorkerService::Stub(channel_).Scale(&context, request, &worker);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(worker.instances_size(), 5);
  ASSERT_EQ(worker.overlays_size(), 1);
  EXPECT_EQ(worker.overlays(0), "instances 2 -> 5");
}

TEST_F(ControlServerTest, ScaleToNothingDoesNotReachTheAgent) {
  grpc::ClientContext context;
  v1::ScaleWorkerRequest request;
  request.set_name("web");
  v1::Worker worker;
  EXPECT_EQ(v1::WorkerService::Stub(channel_)
                .Scale(&context, request, &worker)
                .error_code(),
            grpc::INVALID_ARGUMENT);
  OnLoop([this] { EXPECT_EQ(api_.workers["web"].state.instances.size(), 2U); });
}

TEST_F(ControlServerTest, ApplyTellsEachChangeAndItsFailure) {
  OnLoop([this] {
    api_.apply = [](bool prune, bool dry_run) {
      EXPECT_TRUE(prune);
      EXPECT_TRUE(dry_run);
      return agent::ApplyReport{
          .changes = {{.worker = "web",
                       .action = agent::ConfigChange::Action::kRolling,
                       .fields = {"exec '/a' -> '/b'"},
                       .error = "it did not get ready"}},
          .warnings = {"not stored"}};
    };
  });
  grpc::ClientContext context;
  v1::ApplyConfigRequest request;
  request.set_prune(true);
  request.set_dry_run(true);
  v1::ApplyConfigResponse response;
  ASSERT_TRUE(v1::ConfigService::Stub(channel_)
                  .Apply(&context, request, &response)
                  .ok());
  ASSERT_EQ(response.changes_size(), 1);
  EXPECT_EQ(response.changes(0).worker(), "web");
  EXPECT_EQ(response.changes(0).action(), "rolling");
  EXPECT_EQ(response.changes(0).fields(0), "exec '/a' -> '/b'");
  EXPECT_EQ(response.changes(0).error(), "it did not get ready");
  EXPECT_EQ(response.warnings(0), "not stored");
}

TEST_F(ControlServerTest, FilesWithErrorsAreTheAnswerToApply) {
  OnLoop([this] {
    api_.apply = [](bool, bool) {
      return absl::FailedPreconditionError("apm.conf:1:1: error: no\nmore");
    };
  });
  grpc::ClientContext context;
  v1::ApplyConfigResponse response;
  const grpc::Status status =
      v1::ConfigService::Stub(channel_).Apply(&context, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), "apm.conf:1:1: error: no\nmore");
}

TEST_F(ControlServerTest, UpgradeTellsWhatWasKept) {
  OnLoop([this] {
    api_.upgrade_report = {.keeper_version = "2",
                           .keeper_pid = 3,
                           .processes_kept = 4,
                           .descriptors_kept = 5};
  });
  grpc::ClientContext context;
  v1::UpgradeRequest request;
  request.set_keeper(true);
  v1::UpgradeResponse response;
  ASSERT_TRUE(v1::AgentService::Stub(channel_)
                  .Upgrade(&context, request, &response)
                  .ok());
  EXPECT_EQ(response.keeper_version(), "2");
  EXPECT_EQ(response.keeper_pid(), 3);
  EXPECT_EQ(response.processes_kept(), 4U);
  EXPECT_EQ(response.descriptors_kept(), 5U);
}

TEST_F(ControlServerTest, AnUpgradeOfNothingSaysWhatCanBeUpgraded) {
  grpc::ClientContext context;
  v1::UpgradeResponse response;
  const grpc::Status status =
      v1::AgentService::Stub(channel_).Upgrade(&context, {}, &response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("apmctl upgrade --keeper"));
}

TEST_F(ControlServerTest, AMissingLogIsEmpty) {
  api_.log_path = "/nonexistent/web.log";
  grpc::ClientContext context;
  v1::ReadLogRequest request;
  request.set_name("web");
  v1::ReadLogResponse response;
  ASSERT_TRUE(
      v1::LogService::Stub(channel_).Read(&context, request, &response).ok());
  EXPECT_EQ(response.lines_size(), 0);
  EXPECT_EQ(response.file(), api_.log_path);
}

TEST_F(ControlServerTest, ADeadlineEndsACallThatIsStuck) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(50));
  EXPECT_EQ(Restart("stuck", context).error_code(), grpc::DEADLINE_EXCEEDED);
}

TEST_F(ControlServerTest, AnAnswerToACancelledCallIsDropped) {
  grpc::ClientContext context;
  auto result =
      std::async(std::launch::async, [&] { return Restart("stuck", context); });
  AwaitStuckCall();
  context.TryCancel();
  EXPECT_EQ(result.get().error_code(), grpc::CANCELLED);
  OnLoop([this] { api_.unanswered[0](api_.Get("stuck")); });
  grpc::ClientContext other;
  EXPECT_TRUE(Restart("web", other).ok());
}

TEST_F(ControlServerTest, StoppingAnswersWhatWaits) {
  grpc::ClientContext context;
  auto result =
      std::async(std::launch::async, [&] { return Restart("stuck", context); });
  AwaitStuckCall();
  StopServer();
  const grpc::Status status = result.get();
  EXPECT_EQ(status.error_code(), grpc::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("the agent is stopping"));
  OnLoop([this] { api_.unanswered[0](api_.Get("stuck")); });  // Too late.
}

TEST_F(ControlServerTest, ShutdownIsAnsweredBeforeTheServerStops) {
  api_.on_shutdown = [this] {
    loop_->RunAfter(absl::ZeroDuration(), [this] {
      server_->Stop(absl::Seconds(5));
      server_.reset();
    });
  };
  grpc::ClientContext context;
  v1::ShutdownResponse response;
  ASSERT_TRUE(
      v1::AgentService::Stub(channel_).Shutdown(&context, {}, &response).ok());
  EXPECT_EQ(response.workers_stopped(), 2U);
}

TEST_F(ControlServerTest, AMessageOverFourMegabytesIsRefused) {
  grpc::ClientContext context;
  v1::CreateWorkerRequest request;
  request.mutable_config()->set_name(std::string(4 << 20, 'x'));
  v1::Worker worker;
  EXPECT_EQ(v1::WorkerService::Stub(channel_)
                .Create(&context, request, &worker)
                .error_code(),
            grpc::RESOURCE_EXHAUSTED);
}

TEST_F(ControlServerTest, TellsItsHealth) {
  // HealthCheckResponse { status: SERVING }
  EXPECT_EQ(CallBytes("/grpc.health.v1.Health/Check", ""),
            std::string("\x08\x01"));
}

TEST_F(ControlServerTest, TellsItsServicesByReflection) {
  // ServerReflectionRequest { list_services: "" }
  const std::string services = CallBytes(
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
      std::string("\x3A\x00", 2));
  for (const char* name :
       {"apm.v1.AgentService", "apm.v1.WorkerService", "apm.v1.ConfigService",
        "apm.v1.LogService", "apm.v1.EventService"}) {
    EXPECT_THAT(services, HasSubstr(name));
  }
}

TEST_F(ControlServerTest, ASecondServerInTheProcessHasReflectionOnce) {
  // Registering the plugin twice would make the builder fail.
  StopServer();
  OnLoop([this] {
    server_ = ControlServer::Create(
                  *loop_, api_,
                  {.socket = socket_, .owner = geteuid(), .allow_groups = {}})
                  .value();
    EXPECT_THAT(server_->Start(), IsOk());
  });
  channel_ = Connect();
  grpc::ClientContext context;
  EXPECT_TRUE(Restart("web", context).ok());
}

}  // namespace
}  // namespace apm::control
