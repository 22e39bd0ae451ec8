// The other ends of the agent's channels, which note what they are told: in
// words and in its order, so that a test can say what has to come before what.

#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_format.h>
#include <absl/time/time.h>
#include <gtest/gtest.h>

#include "apm/internal/v1/keeper.pb.h"
#include "apm/internal/v1/proxy.pb.h"
#include "base/os/channel.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"
#include "tests/testing/status_matchers.h"

namespace apm::agent {

// Until `done`, or for so long that a test may fail.
inline void RunUntil(EventLoop& loop, const std::function<bool()>& done) {
  for (int turn = 0; turn < 1000 && !done(); ++turn) {
    loop.RunOnce(absl::Milliseconds(10));
  }
  EXPECT_TRUE(done()) << "it did not happen";
}

// What both have.
class FarEnd {
 public:
  FarEnd(EventLoop& loop, UniqueFd socket)
      : loop_(loop), channel_(loop, std::move(socket)) {
    EXPECT_THAT(
        channel_.Start(
            [this](std::string_view bytes, std::vector<UniqueFd> passed) {
              OnMessage(bytes, std::move(passed));
            },
            [](const absl::Status&) {}),
        ::apm::testing::IsOk());
  }
  virtual ~FarEnd() = default;

  // All that was said since the last call.
  std::vector<std::string> Said() {
    loop_.RunOnce(absl::ZeroDuration());
    loop_.RunOnce(absl::ZeroDuration());
    return std::exchange(said_, {});
  }

 protected:
  virtual void OnMessage(std::string_view bytes,
                         std::vector<UniqueFd> passed) = 0;

  EventLoop& loop_;
  Channel channel_;
  std::vector<std::string> said_;
};

// "put stdin:web/0/7", "note process:web/0/7", "spawn web/0/7", ...
class KeeperEnd final : public FarEnd {
 public:
  using FarEnd::FarEnd;

  const std::map<std::string, std::string>& notes() const { return notes_; }
  const std::map<std::string, UniqueFd>& fds() const { return fds_; }

 private:
  static std::string Key(const internal::v1::ProcessKey& key) {
    return absl::StrFormat("%s/%d/%d", key.worker(), key.instance(),
                           key.generation());
  }

  void OnMessage(std::string_view bytes,
                 std::vector<UniqueFd> passed) override {
    internal::v1::ToKeeper message;
    EXPECT_TRUE(message.ParseFromString(std::string(bytes)));
    if (message.has_put_fd()) {
      said_.push_back("put " + message.put_fd().name());
      fds_[message.put_fd().name()] = std::move(passed.at(0));
    } else if (message.has_drop_fd()) {
      said_.push_back("drop " + message.drop_fd().name());
      fds_.erase(message.drop_fd().name());
    } else if (message.has_put_state()) {
      said_.push_back("note " + message.put_state().name());
      notes_[message.put_state().name()] = message.put_state().value();
    } else if (message.has_drop_state()) {
      said_.push_back("drop note " + message.drop_state().name());
      notes_.erase(message.drop_state().name());
    } else if (message.has_spawn()) {
      said_.push_back("spawn " + Key(message.spawn().key()));
    } else if (message.has_ack_exit()) {
      said_.push_back("ack " + Key(message.ack_exit().key()));
    } else if (message.has_signal()) {
      said_.push_back(absl::StrFormat("signal %d to %s",
                                      message.signal().signal(),
                                      Key(message.signal().key())));
    } else {
      said_.push_back("something else");
    }
  }

  std::map<std::string, std::string> notes_;
  std::map<std::string, UniqueFd> fds_;
};

// "attach 1/0/7", "ready 1/0/7", "drain 1/0/7", "taken over", ...
class ProxyEnd final : public FarEnd {
 public:
  using FarEnd::FarEnd;

  // Of the latest that has come.
  const internal::v1::AttachWorker& attach() const { return attach_; }
  const std::vector<UniqueFd>& pipes() const { return pipes_; }
  const internal::v1::DrainWorker& drain() const { return drain_; }

 private:
  template <typename Message>
  static std::string Link(const Message& message) {
    return absl::StrFormat("%d/%d/%d", message.worker_id(), message.instance(),
                           message.generation());
  }

  void OnMessage(std::string_view bytes,
                 std::vector<UniqueFd> passed) override {
    internal::v1::ToProxy message;
    EXPECT_TRUE(message.ParseFromString(std::string(bytes)));
    if (message.has_attach_worker()) {
      attach_ = message.attach_worker();
      pipes_ = std::move(passed);
      said_.push_back("attach " + Link(attach_));
    } else if (message.has_worker_ready()) {
      said_.push_back("ready " + Link(message.worker_ready()));
    } else if (message.has_drain_worker()) {
      drain_ = message.drain_worker();
      said_.push_back("drain " + Link(drain_));
    } else if (message.has_detach_worker()) {
      said_.push_back("detach " + Link(message.detach_worker()));
    } else if (message.has_take_over_done()) {
      said_.push_back("taken over");
    } else {
      said_.push_back("something else");
    }
  }

  internal::v1::AttachWorker attach_;
  std::vector<UniqueFd> pipes_;
  internal::v1::DrainWorker drain_;
};

}  // namespace apm::agent
