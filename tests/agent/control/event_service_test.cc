// Events from the log to a real client, over the server's socket.

#include "agent/control/event_service.h"

#include <fcntl.h>
#include <unistd.h>

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel_posix.h>
#include <gtest/gtest.h>

#include "agent/control/control_server.h"
#include "agent/events/event_log.h"
#include "apm/v1/event.grpc.pb.h"
#include "base/os/event_loop.h"
#include "base/os/unix_socket.h"
#include "tests/agent/control/fake_agent_api.h"
#include "tests/testing/status_matchers.h"

namespace apm::control {
namespace {

using ::apm::testing::FakeAgentApi;
using ::apm::testing::IsOk;
using ::testing::HasSubstr;

constexpr uint64_t kEpoch = 7;  // Of the fake's log.

events::Event Said(const std::string& text, const std::string& worker = "web") {
  return {.time = absl::FromUnixSeconds(1),
          .type = events::type::kWorkerState,
          .worker = worker,
          .text = text};
}

events::Event Big() {
  events::Event event = Said(std::string(events::kMaxTextBytes, 'x'));
  event.stderr_tail.assign(events::kMaxTailLines,
                           std::string(events::kMaxTailLineBytes, 'x'));
  return event;
}

v1::EventCursor At(uint64_t epoch, uint64_t sequence) {
  v1::EventCursor cursor;
  cursor.set_epoch(epoch);
  cursor.set_sequence(sequence);
  return cursor;
}

using Strings = std::vector<std::string>;

class EventServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = ControlServer::Create(
                  *loop_, api_,
                  {.socket = socket_, .owner = geteuid(), .allow_groups = {}})
                  .value();
    ASSERT_THAT(server_->Start(), IsOk());
    loop_thread_ = std::thread([this] { loop_->Run(); });
    UniqueFd socket =
        ConnectUnix(ParseUnixAddress(socket_).value(), absl::Seconds(5))
            .value();
    fcntl(socket.get(), F_SETFL, O_NONBLOCK);
    stub_ = v1::EventService::NewStub(
        grpc::CreateInsecureChannelFromFd("apm", socket.Release()));
  }

  void TearDown() override {
    StopServer();
    loop_->Stop();
    loop_thread_.join();
  }

  void StopServer() {
    std::promise<void> done;
    loop_->Post([&] {
      if (server_) server_->Stop(absl::Seconds(5));
      server_.reset();
      done.set_value();
    });
    done.get_future().get();
  }

  void Append(const events::Event& event) { api_.events().Append(event); }

  grpc::Status List(const v1::ListEventsRequest& request,
                    v1::ListEventsResponse& response) {
    grpc::ClientContext context;
    return stub_->List(&context, request, &response);
  }

  const std::string socket_ = absl::StrCat("@event-service-test-", getpid());
  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  FakeAgentApi api_;
  std::unique_ptr<ControlServer> server_;
  std::thread loop_thread_;
  std::unique_ptr<v1::EventService::Stub> stub_;
};

// A watching client.
class Watcher {
 public:
  Watcher(v1::EventService::Stub& stub, const v1::WatchEventsRequest& request)
      : reader_(stub.Watch(&context_, request)) {}

  // False when the stream has ended.
  bool Read() { return reader_->Read(&message_); }
  const v1::WatchEventsResponse& message() const { return message_; }
  void Cancel() { context_.TryCancel(); }
  grpc::Status Finish() { return reader_->Finish(); }

  // The texts of the next `count` events; fewer if the stream ends.
  Strings Take(size_t count) {
    Strings texts;
    while (texts.size() < count && Read()) {
      for (const v1::Event& event : message_.events()) {
        texts.push_back(event.text());
      }
    }
    return texts;
  }

 private:
  grpc::ClientContext context_;
  v1::WatchEventsResponse message_;
  std::unique_ptr<grpc::ClientReader<v1::WatchEventsResponse>> reader_;
};

TEST_F(EventServiceTest, ListsEventsWithAllThatIsKnown) {
  events::Event crash = Said("killed by SIGSEGV");
  crash.severity = events::Severity::kError;
  crash.instance = 1;
  crash.generation = 3;
  crash.pid = 4711;
  crash.from_state = "ready";
  crash.to_state = "backoff";
  crash.exit = events::Exit{.code = 0,
                            .signal = 11,
                            .core_dumped = true,
                            .max_rss_bytes = 4096,
                            .cpu_ms = 12};
  crash.stderr_tail = {"last words"};
  Append(crash);
  v1::ListEventsResponse response;
  ASSERT_TRUE(List({}, response).ok());
  ASSERT_EQ(response.events_size(), 1);
  EXPECT_EQ(response.events(0).ShortDebugString(),
            "cursor { epoch: 7 sequence: 1 } time_unix_us: 1000000 "
            "type: \"worker.state\" severity: \"error\" worker: \"web\" "
            "instance: 1 generation: 3 pid: 4711 from_state: \"ready\" "
            "to_state: \"backoff\" text: \"killed by SIGSEGV\" "
            "exit { signal: 11 core_dumped: true max_rss_bytes: 4096 "
            "cpu_ms: 12 } stderr_tail: \"last words\"");
  EXPECT_EQ(response.cursor().sequence(), 1U);
}

TEST_F(EventServiceTest, WhatIsNoUtf8IsRepaired) {
  events::Event event = Said("bad \xFF text");
  event.stderr_tail = {"\xC3"};
  Append(event);
  v1::ListEventsResponse response;
  ASSERT_TRUE(List({}, response).ok());
  EXPECT_EQ(response.events(0).text(), "bad \xEF\xBF\xBD text");
  EXPECT_EQ(response.events(0).stderr_tail(0), "\xEF\xBF\xBD");
}

TEST_F(EventServiceTest, ListsTheNewestOfSomeWorkers) {
  Append(Said("1"));
  Append(Said("2"));
  Append(Said("3"));
  Append(Said("of another", "job"));
  v1::ListEventsRequest request;
  request.set_max(2);
  request.set_newest(true);
  request.add_workers("web");
  v1::ListEventsResponse response;
  ASSERT_TRUE(List(request, response).ok());
  ASSERT_EQ(response.events_size(), 2);
  EXPECT_EQ(response.events(0).text(), "2");
  EXPECT_EQ(response.events(1).text(), "3");
  EXPECT_EQ(response.cursor().sequence(), 4U);
}

TEST_F(EventServiceTest, PagesOfBigEventsFitIntoMessages) {
  for (int i = 0; i < 100; ++i) Append(Big());  // 5 MB.
  v1::ListEventsRequest request;
  uint64_t next = 1;
  do {
    v1::ListEventsResponse response;
    ASSERT_TRUE(List(request, response).ok());
    for (const v1::Event& event : response.events()) {
      EXPECT_EQ(event.cursor().sequence(), next++);
    }
    *request.mutable_after() = response.cursor();
  } while (request.after().sequence() < 100);
  EXPECT_EQ(next, 101U);
}

TEST_F(EventServiceTest, ThePageOfTheNewestLacksTheOldestOfThem) {
  for (int i = 0; i < 100; ++i) Append(Big());
  v1::ListEventsRequest request;
  request.set_newest(true);
  v1::ListEventsResponse response;
  ASSERT_TRUE(List(request, response).ok());
  EXPECT_GT(response.events_size(), 50);
  EXPECT_EQ(response.events().rbegin()->cursor().sequence(), 100U);
  EXPECT_EQ(response.cursor().sequence(), 100U);
}

TEST_F(EventServiceTest, AForeignCursorIsOutOfRangeAndSaysWhatToDo) {
  v1::ListEventsRequest request;
  *request.mutable_after() = At(kEpoch - 1, 1);
  v1::ListEventsResponse response;
  const grpc::Status status = List(request, response);
  EXPECT_EQ(status.error_code(), grpc::OUT_OF_RANGE);
  EXPECT_THAT(status.error_message(),
              HasSubstr("is of an earlier life of the daemon; list the "
                        "workers again and watch from there"));
}

TEST_F(EventServiceTest, MoreThanAreEverKeptIsWrongUsage) {
  v1::ListEventsRequest request;
  request.set_max(10'001);
  v1::ListEventsResponse response;
  EXPECT_EQ(List(request, response).error_code(), grpc::INVALID_ARGUMENT);
}

TEST_F(EventServiceTest, AWatchAnswersAtOnceWithACursor) {
  Append(Said("before"));
  Watcher watcher(*stub_, {});
  ASSERT_TRUE(watcher.Read());
  EXPECT_EQ(watcher.message().events_size(), 0);
  EXPECT_EQ(watcher.message().cursor().epoch(), kEpoch);
  EXPECT_EQ(watcher.message().cursor().sequence(), 1U);
}

TEST_F(EventServiceTest, AWatchTellsWhatHappensFromThenOn) {
  Append(Said("before"));
  Watcher watcher(*stub_, {});
  ASSERT_TRUE(watcher.Read());
  Append(Said("first"));
  EXPECT_EQ(watcher.Take(1), (Strings{"first"}));
  Append(Said("second"));
  EXPECT_EQ(watcher.Take(1), (Strings{"second"}));
  EXPECT_EQ(watcher.message().cursor().sequence(), 3U);
}

TEST_F(EventServiceTest, AWatchGoesOnFromACursor) {
  Append(Said("seen"));
  Append(Said("missed"));
  v1::WatchEventsRequest request;
  *request.mutable_after() = At(kEpoch, 1);
  Watcher watcher(*stub_, request);
  EXPECT_EQ(watcher.Take(1), (Strings{"missed"}));
}

TEST_F(EventServiceTest, AWatchOfOneWorkerHearsNothingOfOthers) {
  v1::WatchEventsRequest request;
  request.add_workers("web");
  Watcher watcher(*stub_, request);
  ASSERT_TRUE(watcher.Read());
  Append(Said("of another", "job"));
  Append(Said("its own"));
  EXPECT_EQ(watcher.Take(1), (Strings{"its own"}));
}

TEST_F(EventServiceTest, TheCursorOfAQuietWorkerKeepsUp) {
  v1::WatchEventsRequest request;
  request.add_workers("web");
  Watcher watcher(*stub_, request);
  ASSERT_TRUE(watcher.Read());
  for (int i = 0; i < 1000; ++i) Append(Said("noise", "job"));
  ASSERT_TRUE(watcher.Read());
  EXPECT_EQ(watcher.message().events_size(), 0);
  EXPECT_EQ(watcher.message().cursor().sequence(), 1000U);
}

TEST_F(EventServiceTest, EveryWatcherHearsEverythingOnceAndInOrder) {
  constexpr size_t kEvents = 5000;
  Watcher one(*stub_, {});
  Watcher two(*stub_, {});
  ASSERT_TRUE(one.Read() && two.Read());
  std::thread appender([this] {
    for (size_t i = 0; i < kEvents; ++i) Append(Said(absl::StrCat(i)));
  });
  Strings expected;
  for (size_t i = 0; i < kEvents; ++i) expected.push_back(absl::StrCat(i));
  EXPECT_EQ(one.Take(kEvents), expected);
  EXPECT_EQ(two.Take(kEvents), expected);
  appender.join();
}

TEST_F(EventServiceTest, AWatchFromAForeignCursorIsOutOfRange) {
  v1::WatchEventsRequest request;
  *request.mutable_after() = At(kEpoch + 1, 0);
  Watcher watcher(*stub_, request);
  EXPECT_FALSE(watcher.Read());
  EXPECT_EQ(watcher.Finish().error_code(), grpc::OUT_OF_RANGE);
}

TEST_F(EventServiceTest, AWatcherWhoDoesNotReadFallsOutOfTheRing) {
  Watcher watcher(*stub_, {});
  ASSERT_TRUE(watcher.Read());
  for (int i = 0; i < 500; ++i) Append(Big());  // Three rings of them.
  uint64_t next = 1;
  while (watcher.Read()) {
    for (const v1::Event& event : watcher.message().events()) {
      EXPECT_EQ(event.cursor().sequence(), next++);  // Up to there no gap.
    }
  }
  EXPECT_LT(next, 500U);
  const grpc::Status status = watcher.Finish();
  EXPECT_EQ(status.error_code(), grpc::OUT_OF_RANGE);
  EXPECT_THAT(status.error_message(), HasSubstr("no longer kept"));
}

TEST_F(EventServiceTest, AWatcherWhoHasGoneIsForgotten) {
  {
    Watcher watcher(*stub_, {});
    ASSERT_TRUE(watcher.Read());
    watcher.Cancel();
    EXPECT_EQ(watcher.Finish().error_code(), grpc::CANCELLED);
  }
  Append(Said("to nobody"));
  Watcher watcher(*stub_, {});
  ASSERT_TRUE(watcher.Read());
  EXPECT_EQ(watcher.message().cursor().sequence(), 1U);
}

TEST_F(EventServiceTest, StoppingEndsEveryWatch) {
  Watcher idle(*stub_, {});
  Watcher blocked(*stub_, {});
  ASSERT_TRUE(idle.Read() && blocked.Read());
  for (int i = 0; i < 50; ++i) Append(Big());
  ASSERT_EQ(idle.Take(50).size(), 50U);
  std::thread stopper([this] { StopServer(); });
  EXPECT_FALSE(idle.Read());
  const grpc::Status status = idle.Finish();
  EXPECT_EQ(status.error_code(), grpc::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("the agent is stopping"));
  while (blocked.Read()) {
  }
  EXPECT_EQ(blocked.Finish().error_code(), grpc::UNAVAILABLE);
  stopper.join();
}

}  // namespace
}  // namespace apm::control
