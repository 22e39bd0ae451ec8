// What workers print, from their pipes to a real client.

#include "agent/control/log_service.h"

#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/support/sync_stream.h>
#include <gtest/gtest.h>

#include "agent/control/control_server.h"
#include "agent/logs/log_store.h"
#include "apm/v1/log.grpc.pb.h"
#include "base/os/event_loop.h"
#include "base/os/unix_socket.h"
#include "tests/agent/control/fake_agent_api.h"
#include "tests/agent/logs/temp_folder.h"
#include "tests/testing/status_matchers.h"

namespace apm::control {
namespace {

using ::apm::testing::FakeAgentApi;
using ::apm::testing::IsOk;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

// One call of Follow.
class Following {
 public:
  Following(v1::LogService::Stub& stub, const v1::FollowLogRequest& request)
      : reader_(stub.Follow(&context_, request)) {}
  ~Following() {
    context_.TryCancel();
    static_cast<void>(End());
  }

  // False if the call was refused.
  bool Begins() {
    v1::FollowLogResponse message;
    return reader_->Read(&message);
  }
  v1::FollowLogResponse Next() {
    v1::FollowLogResponse message;
    EXPECT_TRUE(reader_->Read(&message)) << End().error_message();
    for (const v1::LogPosition& position : message.positions()) {
      positions[position.worker()] = position.position();
    }
    return message;
  }
  // So many lines at least: "web/0 out text".
  std::vector<std::string> Lines(size_t count) {
    std::vector<std::string> lines;
    while (lines.size() < count && !::testing::Test::HasFailure()) {
      const v1::FollowLogResponse message = Next();
      for (const v1::LogLine& line : message.lines()) {
        lines.push_back(absl::StrCat(line.worker(), "/", line.instance(), " ",
                                     line.stream(), " ", line.text()));
      }
    }
    return lines;
  }
  grpc::Status End() {
    v1::FollowLogResponse message;
    while (reader_->Read(&message)) {
    }
    if (!ended_) status_ = reader_->Finish();
    ended_ = true;
    return status_;
  }
  void Cancel() { context_.TryCancel(); }

  std::map<std::string, std::string> positions;

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<v1::FollowLogResponse>> reader_;
  bool ended_ = false;
  grpc::Status status_;
};

class LogServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    api_.Add("job", {}, 1);
    api_.Add("web", {}, 2);
    loop_thread_ = std::thread([this] { loop_->Run(); });
    StartServer();
  }

  void TearDown() override {
    StopServer();
    loop_->Stop();
    loop_thread_.join();
  }

  void OnLoop(const std::function<void()>& work) {
    std::promise<void> done;
    loop_->Post([&] {
      work();
      done.set_value();
    });
    done.get_future().get();
  }

  void StartServer() {
    OnLoop([this] {
      api_.log_store = logs::LogStore::Create(temp_ / "logs").value();
      server_ = ControlServer::Create(
                    *loop_, api_,
                    {.socket = socket_, .owner = geteuid(), .allow_groups = {}})
                    .value();
      ASSERT_THAT(server_->Start(), IsOk());
    });
    UniqueFd socket =
        ConnectUnix(ParseUnixAddress(socket_).value(), absl::Seconds(5))
            .value();
    fcntl(socket.get(), F_SETFL, O_NONBLOCK);
    stub_ = v1::LogService::NewStub(
        grpc::CreateInsecureChannelFromFd("apm", socket.Release()));
  }

  void StopServer() {
    OnLoop([this] {
      if (server_) server_->Stop(absl::Seconds(5));
      server_.reset();
      api_.log_store.reset();
    });
  }

  // Returns when it is in the file.
  void Print(const std::string& worker, std::string_view text,
             uint32_t instance = 0, logs::Stream stream = logs::Stream::kOut) {
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    api_.log_store->AddStream(worker, instance, stream, UniqueFd(ends[0]));
    const UniqueFd write_end(ends[1]);
    while (!text.empty()) {
      const ssize_t n = write(ends[1], text.data(), text.size());
      ASSERT_GT(n, 0);
      text.remove_prefix(static_cast<size_t>(n));
    }
    std::promise<void> done;
    api_.log_store->Flush([&] { done.set_value(); });
    done.get_future().get();
  }

  std::unique_ptr<Following> Follow(const v1::FollowLogRequest& request = {}) {
    return std::make_unique<Following>(*stub_, request);
  }
  static v1::FollowLogRequest Named(const std::vector<std::string>& names) {
    v1::FollowLogRequest request;
    for (const std::string& name : names) request.add_names(name);
    return request;
  }

  const logs::TempFolder temp_;
  const std::string socket_ = absl::StrCat("@log-service-test-", getpid());
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  FakeAgentApi api_;
  std::unique_ptr<ControlServer> server_;
  std::thread loop_thread_;
  std::unique_ptr<v1::LogService::Stub> stub_;
};

// ---- Read ----

TEST_F(LogServiceTest, ReadsWhatMatchesSinceATime) {
  Print("web", "error 1\n");
  const int64_t since = absl::ToUnixMicros(absl::Now());
  Print("web", "error 2\nfine\nerror 3\n");
  v1::ReadLogRequest request;
  request.set_name("web");
  request.set_since_unix_us(since);
  request.set_matches("^error [0-9]$");
  grpc::ClientContext context;
  v1::ReadLogResponse response;
  ASSERT_TRUE(stub_->Read(&context, request, &response).ok());
  ASSERT_EQ(response.lines_size(), 2);
  EXPECT_EQ(response.lines(0).text(), "error 2");
  EXPECT_EQ(response.lines(0).worker(), "web");
}

TEST_F(LogServiceTest, ReadsOneInstance) {
  Print("web", "of zero\n", 0);
  Print("web", "of one\n", 1);
  v1::ReadLogRequest request;
  request.set_name("web/1");
  grpc::ClientContext context;
  v1::ReadLogResponse response;
  ASSERT_TRUE(stub_->Read(&context, request, &response).ok());
  ASSERT_EQ(response.lines_size(), 1);
  EXPECT_EQ(response.lines(0).text(), "of one");
}

// ---- Follow ----

TEST_F(LogServiceTest, TheFirstMessageComesAtOnceAndSaysWhereItIs) {
  Print("web", "before\n");
  const auto following = Follow();
  EXPECT_THAT(following->Next().lines(), IsEmpty());
  EXPECT_EQ(following->positions.size(), 2U);
}

TEST_F(LogServiceTest, LinesComeAsTheyArePrinted) {
  Print("web", "1\n2\n", 0);
  v1::FollowLogRequest request;
  request.set_lines(1);
  const auto following = Follow(request);
  EXPECT_THAT(following->Lines(1), ElementsAre("web/0 out 2"));
  Print("web", "3\n", 1, logs::Stream::kErr);
  EXPECT_THAT(following->Lines(1), ElementsAre("web/1 err 3"));
  Print("job", "4\n");
  EXPECT_THAT(following->Lines(1), ElementsAre("job/0 out 4"));
}

TEST_F(LogServiceTest, AWorkerThatComesLaterIsFollowedToo) {
  const auto following = Follow();
  following->Next();
  Print("new", "hello\n");
  EXPECT_THAT(following->Lines(1), ElementsAre("new/0 out hello"));
}

TEST_F(LogServiceTest, FollowsInstancesByName) {
  const auto following = Follow(Named({"web/1", "job"}));
  following->Next();
  Print("web", "of zero\n", 0);
  Print("web", "of one\n", 1);
  Print("job", "of job\n");
  EXPECT_THAT(following->Lines(2),
              UnorderedElementsAre("web/1 out of one", "job/0 out of job"));
}

TEST_F(LogServiceTest, AnUnknownWorkerIsNotFound) {
  const grpc::Status status = Follow(Named({"web", "wbe"}))->End();
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("'wbe'"));
}

TEST_F(LogServiceTest, ABadExpressionIsRefused) {
  v1::FollowLogRequest request;
  request.set_matches("[");
  EXPECT_EQ(Follow(request)->End().error_code(), grpc::INVALID_ARGUMENT);
}

TEST_F(LogServiceTest, TextThatIsNotUtf8IsMadeSo) {
  const auto following = Follow();
  following->Next();
  Print("web", "a\xFFz\n");
  EXPECT_THAT(following->Lines(1), ElementsAre("web/0 out a\xEF\xBF\xBDz"));
}

TEST_F(LogServiceTest, GoesOnWithAnotherServerWhereItWas) {
  v1::FollowLogRequest request;
  {
    const auto following = Follow();
    following->Next();
    Print("web", "1\n");
    EXPECT_THAT(following->Lines(1), ElementsAre("web/0 out 1"));
    for (const auto& [worker, position] : following->positions) {
      v1::LogPosition& after = *request.add_after();
      after.set_worker(worker);
      after.set_position(position);
    }
    Print("web", "2\n");
    Print("job", "3\n");
    StopServer();
    EXPECT_EQ(following->End().error_code(), grpc::UNAVAILABLE);
  }
  StartServer();
  const auto following = Follow(request);
  EXPECT_THAT(following->Lines(2),
              UnorderedElementsAre("web/0 out 2", "job/0 out 3"));
}

// More than all buffers on the way hold.
TEST_F(LogServiceTest, ACallerWhoDoesNotReadHoldsNobodyUpAndLosesNothing) {
  api_.log_store->Configure(
      "web", {.rotation = {.max_bytes = uint64_t{1} << 20, .keep = 1}});
  const auto following = Follow(Named({"web"}));
  following->Next();
  constexpr size_t kLines = 20'000;
  std::string text;
  for (size_t i = 0; i < kLines; ++i) {
    text += absl::StrCat(i, std::string(1000, '.'), "\n");
  }
  Print("web", text);
  size_t next = 0;
  while (next < kLines && !HasFailure()) {
    const v1::FollowLogResponse message = following->Next();
    EXPECT_EQ(message.missed(), 0U);
    EXPECT_LT(message.ByteSizeLong(), size_t{256} << 10);
    for (const v1::LogLine& line : message.lines()) {
      ASSERT_EQ(line.text(), absl::StrCat(next++, std::string(1000, '.')));
    }
  }
}

TEST_F(LogServiceTest, AFilterThatLetsNothingPassEndsWithTheCall) {
  v1::FollowLogRequest request = Named({"web"});
  request.set_contains("never printed");
  const auto following = Follow(request);
  following->Next();
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "something else, again and again\n";
  Print("web", text);
  following->Cancel();
  EXPECT_EQ(following->End().error_code(), grpc::CANCELLED);
}

TEST_F(LogServiceTest, FollowersAreLimitedAndAPlaceIsFreeAgain) {
  std::vector<std::unique_ptr<Following>> all;
  for (int i = 0; i < kMaxFollowCalls; ++i) {
    all.push_back(Follow());
    all.back()->Next();
  }
  EXPECT_EQ(Follow()->End().error_code(), grpc::RESOURCE_EXHAUSTED);
  all.pop_back();
  // The server learns of it a little later.
  while (!Follow()->Begins()) {
  }
}

}  // namespace
}  // namespace apm::control
