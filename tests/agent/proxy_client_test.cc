#include "agent/proxy_client.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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

#include "agent/link_board.h"
#include "apm/internal/v1/proxy.pb.h"
#include "base/os/channel.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"
#include "tests/testing/status_matchers.h"

namespace apm::agent {
namespace {

namespace pb = ::apm::internal::v1;
using ::apm::testing::IsOk;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr LinkKey kWeb{.worker_id = 1, .instance = 2, .generation = 3};

// Are both descriptors of one file?
bool SameFile(int one, int other) {
  struct stat first {};
  struct stat second {};
  return fstat(one, &first) == 0 && fstat(other, &second) == 0 &&
         first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

// What the proxy has said.
class Heard final : public ProxyEvents {
 public:
  void OnProxyReady(uid_t uid, std::string_view) override {
    notes.push_back("ready " + std::to_string(uid));
  }
  void OnWorkerHello(const LinkKey& link, const WorkerTraits& said) override {
    EXPECT_EQ(link, kWeb);
    notes.emplace_back("hello");
    traits = said;
  }
  void OnWorkerDrained(const LinkKey& link, uint32_t left) override {
    EXPECT_EQ(link, kWeb);
    notes.push_back("drained " + std::to_string(left));
  }
  void OnWorkerLinkLost(const LinkKey& link) override {
    EXPECT_EQ(link, kWeb);
    notes.emplace_back("lost");
  }
  void OnProxyGone(const absl::Status&) override { notes.emplace_back("gone"); }

  std::vector<std::string> notes;
  WorkerTraits traits;
};

class ProxyClientTest : public ::testing::Test {
 protected:
  ProxyClientTest() {
    auto [ours, theirs] = CreateChannelPair().value();
    proxy_ = std::make_unique<Channel>(*loop_, std::move(theirs));
    EXPECT_THAT(proxy_->Start(
                    [this](std::string_view text, std::vector<UniqueFd> fds) {
                      message_.emplace();
                      EXPECT_TRUE(message_->ParseFromString(std::string(text)));
                      fds_ = std::move(fds);
                    },
                    [](const absl::Status&) {}),
                IsOk());
    EXPECT_THAT(client_.Connect(std::move(ours)), IsOk());
  }

  // What the proxy has got of the last call.
  const pb::ToProxy& Received() {
    message_.reset();
    for (int turn = 0; turn < 100 && !message_; ++turn) {
      loop_->RunOnce(absl::Seconds(1));
    }
    EXPECT_TRUE(message_) << "nothing came";
    if (!message_) message_.emplace();
    return *message_;
  }

  void ProxySays(const pb::FromProxy& message) {
    const size_t before = heard_.notes.size();
    ASSERT_THAT(proxy_->Send(message.SerializeAsString()), IsOk());
    for (int turn = 0; turn < 100 && heard_.notes.size() == before; ++turn) {
      loop_->RunOnce(absl::Seconds(1));
    }
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  Heard heard_;
  ProxyClient client_{*loop_, heard_};
  std::unique_ptr<Channel> proxy_;
  std::optional<pb::ToProxy> message_;
  std::vector<UniqueFd> fds_;
};

TEST_F(ProxyClientTest, HandsOutTheLinkRecords) {
  const auto board = LinkBoard::Create(3, 5).value();
  client_.SendLinkRecords({.links_fd = board->links_fd(),
                           .links = board->links(),
                           .sessions_fd = board->sessions_fd(),
                           .sessions = board->sessions()});
  const pb::ToProxy& message = Received();
  EXPECT_EQ(message.link_records().links(), 3U);
  EXPECT_EQ(message.link_records().sessions(), 5U);
  ASSERT_THAT(fds_, SizeIs(2));
  EXPECT_TRUE(SameFile(fds_[0].get(), board->links_fd()));
  EXPECT_TRUE(SameFile(fds_[1].get(), board->sessions_fd()));
}

TEST_F(ProxyClientTest, AttachesAProcessThatHasNotSpoken) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  client_.Attach(kWeb, {writer.get(), reader.get(), 2}, 9, std::nullopt);
  const pb::AttachWorker& attach = Received().attach_worker();
  EXPECT_EQ(attach.worker_id(), 1U);
  EXPECT_EQ(attach.instance(), 2U);
  EXPECT_EQ(attach.generation(), 3U);
  EXPECT_EQ(attach.link_record(), 9U);
  EXPECT_FALSE(attach.has_traits());
  ASSERT_THAT(fds_, SizeIs(3));
  EXPECT_TRUE(SameFile(fds_[0].get(), writer.get()));
  EXPECT_TRUE(SameFile(fds_[2].get(), 2));
}

TEST_F(ProxyClientTest, AttachesWithWhatTheWorkerSaidBefore) {
  client_.Attach(kWeb, {2, 2, 2}, 0, WorkerTraits{"python/1.0", 1, {"lean"}});
  const pb::AttachWorker& attach = Received().attach_worker();
  EXPECT_EQ(attach.traits().connector(), "python/1.0");
  EXPECT_EQ(attach.traits().concurrency(), 1U);
  EXPECT_THAT(attach.traits().features(), ElementsAre("lean"));
}

TEST_F(ProxyClientTest, AnOriginalWorkerThatHasSpokenHasEmptyTraits) {
  client_.Attach(kWeb, {2, 2, 2}, 0, WorkerTraits());
  EXPECT_TRUE(Received().attach_worker().has_traits());
}

TEST_F(ProxyClientTest, SaysThatTheTakeOverIsDone) {
  client_.TakeOverDone();
  EXPECT_TRUE(Received().has_take_over_done());
}

TEST_F(ProxyClientTest, HearsWhatAWorkerSaid) {
  pb::FromProxy message;
  pb::WorkerHello& hello = *message.mutable_worker_hello();
  hello.set_worker_id(1);
  hello.set_instance(2);
  hello.set_generation(3);
  hello.mutable_traits()->set_connector("node/1.0");
  hello.mutable_traits()->set_concurrency(8);
  hello.mutable_traits()->add_features("drain");
  ProxySays(message);
  EXPECT_THAT(heard_.notes, ElementsAre("hello"));
  EXPECT_EQ(heard_.traits.connector, "node/1.0");
  EXPECT_EQ(heard_.traits.concurrency, 8U);
  EXPECT_THAT(heard_.traits.features, ElementsAre("drain"));
}

TEST_F(ProxyClientTest, HearsOfALinkThatIsLost) {
  pb::FromProxy message;
  message.mutable_worker_link_lost()->set_worker_id(1);
  message.mutable_worker_link_lost()->set_instance(2);
  message.mutable_worker_link_lost()->set_generation(3);
  ProxySays(message);
  EXPECT_THAT(heard_.notes, ElementsAre("lost"));
}

TEST_F(ProxyClientTest, HearsThatTheProxyIsGone) {
  proxy_.reset();
  for (int turn = 0; turn < 100 && heard_.notes.empty(); ++turn) {
    loop_->RunOnce(absl::Seconds(1));
  }
  EXPECT_THAT(heard_.notes, ElementsAre("gone"));
}

TEST_F(ProxyClientTest, SaysNothingWhileThereIsNoProxy) {
  client_.Disconnect();
  client_.TakeOverDone();
  EXPECT_THAT(heard_.notes, IsEmpty());
}

}  // namespace
}  // namespace apm::agent
