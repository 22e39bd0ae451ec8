// A program that the keeper keeps running, apm-agent or apm-proxy: started
// with a channel as descriptor 3, started again when it ends, until Stop().
//
// A service is gone when its process has been reaped *and* its channel has
// been read to the end: its last messages count.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "agent/keeper/restart_backoff.h"
#include "apm/internal/v1/keeper_state.pb.h"
#include "base/os/channel.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm::keeper {

struct ServiceExit {
  pid_t pid = -1;
  bool signaled = false;
  int status = 0;             // Exit status, or the signal.
  absl::Duration restart_in;  // Unless the service is stopped.
};

class Service {
 public:
  // A program that has been asked to leave, or whose channel broke, and that
  // is still there after this time is killed.
  static constexpr absl::Duration kPatience = absl::Seconds(5);

  struct Callbacks {
    std::function<void()> started;  // Send() reaches the new process.
    std::function<void(std::string_view, std::vector<UniqueFd>)> message;
    std::function<void(const ServiceExit&)> gone;  // May call Stop().
  };

  // `argv` begins with the program's name. `loop` outlives the service.
  Service(EventLoop& loop, std::string path, std::vector<std::string> argv,
          Callbacks callbacks);

  void Start();

  // For the program that replaces this one, and there, instead of Start().
  void Save(internal::v1::KeptService& kept) const;
  absl::Status TakeOver(const internal::v1::KeptService& kept);

  // For each child that was reaped: true if it was this service.
  bool HandleExit(pid_t pid, int wait_status);

  // Dropped unless up(). A service that a message cannot be sent to is
  // killed: its successor is told everything.
  void Send(std::string_view message, std::span<const int> fds = {});

  // Closes the channel and sends SIGTERM, SIGKILL after kPatience; starts
  // nothing any more.
  void Stop();
  void Kill();

  const std::string& name() const { return argv_.front(); }
  bool up() const { return channel_ != nullptr && !wait_status_; }
  bool has_process() const { return pid_ > 0 && !wait_status_; }
  pid_t pid() const { return pid_; }
  uint64_t incarnation() const { return incarnation_; }  // From 1.

 private:
  absl::Status TryStart();
  absl::Status Listen(Channel& channel);
  void OnClosed(const absl::Status& reason);
  // For the half that has not ended yet, process or channel.
  void LimitTheRest();
  void BecomeGone();
  void StartAfter(absl::Duration wait);
  void SetTimer(absl::Duration delay, std::function<void()> callback);

  EventLoop& loop_;
  const std::string path_;
  const std::vector<std::string> argv_;
  const Callbacks callbacks_;

  pid_t pid_ = -1;
  std::unique_ptr<Channel> channel_;
  std::optional<int> wait_status_;  // Of a process that has been reaped.
  uint64_t incarnation_ = 0;
  absl::Duration started_at_;
  absl::Duration start_at_;  // When there is no process.
  RestartBackoff backoff_;
  bool stopping_ = false;
  TimerId timer_ = kNoTimer;  // For the one thing that is waited for.
};

}  // namespace apm::keeper
