#include "base/os/channel.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"
#include "tests/testing/status_matchers.h"

namespace apm {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;

class ChannelTest : public ::testing::Test {
 protected:
  ChannelTest() {
    auto ends = CreateChannelPair().value();
    raw_peer_ = ends.second.get();
    near_ = std::make_unique<Channel>(*loop_, std::move(ends.first));
    far_ = std::make_unique<Channel>(*loop_, std::move(ends.second));
  }

  void StartFar() {
    EXPECT_THAT(
        far_->Start(
            [this](std::string_view message, std::vector<UniqueFd> fds) {
              received_.emplace_back(message);
              for (UniqueFd& fd : fds) fds_.push_back(std::move(fd));
            },
            [this](absl::Status reason) { closed_ = std::move(reason); }),
        IsOk());
  }

  void RunUntilReceived(size_t count) {
    while (received_.size() < count && closed_.ok()) {
      loop_->RunOnce(absl::InfiniteDuration());
    }
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  int raw_peer_ = -1;
  std::unique_ptr<Channel> near_;
  std::unique_ptr<Channel> far_;
  std::vector<std::string> received_;
  std::vector<UniqueFd> fds_;
  absl::Status closed_;
};

TEST_F(ChannelTest, DeliversAMessageOfEverySizeUpToAndBeyondInline) {
  StartFar();
  const std::vector<std::string> sent = {
      "", "a", std::string(kMaxInlineBytes, 'b'),
      std::string(kMaxInlineBytes + 1, 'c'), std::string(3'000'000, 'd')};
  for (const std::string& message : sent) {
    ASSERT_THAT(near_->Send(message), IsOk());
  }
  RunUntilReceived(sent.size());
  EXPECT_EQ(received_, sent);
}

TEST_F(ChannelTest, CarriesDescriptors) {
  StartFar();
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  const int sent[] = {write_end.get()};
  ASSERT_THAT(near_->Send("take this", sent), IsOk());
  write_end.Reset();
  RunUntilReceived(1);
  ASSERT_EQ(fds_.size(), 1U);
  ASSERT_EQ(write(fds_[0].get(), "hi", 2), 2);
  char buffer[2];
  EXPECT_EQ(read(read_end.get(), buffer, 2), 2);
}

TEST_F(ChannelTest, QueuesForAPeerThatDoesNotReadAndKeepsTheOrder) {
  constexpr size_t kMessages = 5000;  // Far above the socket's own queue.
  ASSERT_THAT(near_->Start([](std::string_view, std::vector<UniqueFd>) {},
                           [](absl::Status) {}),
              IsOk());
  for (size_t i = 0; i < kMessages; ++i) {
    ASSERT_THAT(near_->Send(std::to_string(i)), IsOk());
  }
  StartFar();
  RunUntilReceived(kMessages);
  ASSERT_EQ(received_.size(), kMessages);
  for (size_t i = 0; i < kMessages; ++i)
    EXPECT_EQ(received_[i], std::to_string(i));
}

TEST_F(ChannelTest, ASuccessorSendsWhatWasQueuedBeforeItsOwn) {
  const std::string large(kMaxInlineBytes, 'x');
  size_t sent = 0;
  while (near_->queue().size() < 3) {
    ASSERT_THAT(near_->Send(large), IsOk());
    ++sent;
  }
  std::deque<Channel::Packet> queue;
  for (const Channel::Packet& packet : near_->queue()) {
    queue.push_back({packet.bytes, {}});
  }
  UniqueFd socket(dup(near_->socket()));
  near_.reset();
  Channel successor(*loop_, std::move(socket), std::move(queue));
  ASSERT_THAT(successor.Start([](auto, auto) {}, [](auto) {}), IsOk());
  ASSERT_THAT(successor.Send("own"), IsOk());
  StartFar();
  RunUntilReceived(sent + 1);
  EXPECT_EQ(received_.back(), "own");
  EXPECT_EQ(received_[sent - 1], large);
}

TEST_F(ChannelTest, RefusesMoreDescriptorsThanOneMessageHolds) {
  const std::vector<int> fds(kMaxMessageFds + 1, STDIN_FILENO);
  EXPECT_THAT(near_->Send("x", fds),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(ChannelTest, CarriesTheLargestNumberOfDescriptorsInAMemfdMessage) {
  StartFar();
  const std::vector<int> fds(kMaxMessageFds, STDERR_FILENO);
  ASSERT_THAT(near_->Send(std::string(kMaxInlineBytes + 1, 'x'), fds), IsOk());
  RunUntilReceived(1);
  EXPECT_EQ(fds_.size(), kMaxMessageFds);
}

TEST_F(ChannelTest, SaysWhenThePeerHasGone) {
  StartFar();
  near_.reset();
  RunUntilReceived(1);
  EXPECT_THAT(closed_, StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(far_->Send("x"), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ChannelTest, SaysWhenThePeerHadGoneBeforeSending) {
  near_.reset();
  EXPECT_THAT(far_->Send("x"), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ChannelTest, DeliversTheLastWordsOfAPeerThatGoesWithoutReading) {
  StartFar();
  ASSERT_THAT(far_->Send("never read"), IsOk());
  ASSERT_THAT(near_->Send("last words"), IsOk());
  near_.reset();
  while (closed_.ok()) loop_->RunOnce(absl::InfiniteDuration());
  EXPECT_EQ(received_, std::vector<std::string>{"last words"});
  EXPECT_THAT(closed_, StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ChannelTest, ClosesOnAMessageThatPromisesAMemfdAndHasNone) {
  StartFar();
  near_->Send("").IgnoreError();
  auto ends = CreateChannelPair().value();
  Channel receiver(*loop_, std::move(ends.second));
  absl::Status reason;
  ASSERT_THAT(
      receiver.Start([](std::string_view, std::vector<UniqueFd>) {},
                     [&](absl::Status why) { reason = std::move(why); }),
      IsOk());
  const char forged = 1;
  ASSERT_EQ(send(ends.first.get(), &forged, 1, 0), 1);
  loop_->RunOnce(absl::InfiniteDuration());
  while (reason.ok()) loop_->RunOnce(absl::InfiniteDuration());
  EXPECT_THAT(reason, StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace apm
