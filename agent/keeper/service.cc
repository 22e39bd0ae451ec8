#include "agent/keeper/service.h"

#include <signal.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "agent/keeper/child.h"
#include "agent/keeper/log.h"
#include "base/os/errno_status.h"
#include "base/status/status_macros.h"

namespace apm::keeper {
namespace {

// How long the channel of a dead process may stay open: a descriptor that
// leaked into some other process must not keep the service down.
constexpr absl::Duration kChannelGrace = absl::Seconds(1);

std::string Describe(const ServiceExit& exit) {
  if (!exit.signaled) return "exited with " + std::to_string(exit.status);
  const char* name = sigabbrev_np(exit.status);
  return "was killed by " + (name != nullptr ? "SIG" + std::string(name)
                                             : std::to_string(exit.status));
}

}  // namespace

Service::Service(EventLoop& loop, std::string path,
                 std::vector<std::string> argv, Callbacks callbacks)
    : loop_(loop),
      path_(std::move(path)),
      argv_(std::move(argv)),
      callbacks_(std::move(callbacks)) {}

void Service::Start() {
  if (const absl::Status status = TryStart(); !status.ok()) {
    const absl::Duration wait = backoff_.Next(absl::ZeroDuration());
    LogError(std::string(status.message()) + "; tried again in " +
             absl::FormatDuration(wait));
    StartAfter(wait);
    return;
  }
  callbacks_.started();
}

absl::Status Service::TryStart() {
  APM_ASSIGN_OR_RETURN(auto ends, CreateChannelPair());
  auto channel = std::make_unique<Channel>(loop_, std::move(ends.first));
  APM_RETURN_IF_ERROR(channel->Start(
      [this](std::string_view message, std::vector<UniqueFd> fds) {
        callbacks_.message(message, std::move(fds));
      },
      [this](const absl::Status& reason) { OnClosed(reason); }));
  const int fds[] = {ends.second.get()};
  const Child child = StartChild(path_, argv_, fds, /*own_session=*/true);
  if (child.error != 0) {
    return ErrnoStatus(child.error, "start '" + path_ + "'");
  }
  pid_ = child.pid;
  wait_status_.reset();
  channel_ = std::move(channel);
  ++incarnation_;
  started_at_ = loop_.Now();
  LogInfo("started " + name() + " (pid " + std::to_string(pid_) + ")");
  return absl::OkStatus();
}

void Service::Send(std::string_view message, std::span<const int> fds) {
  if (!up()) return;
  const absl::Status status = channel_->Send(message, fds);
  if (status.ok() || absl::IsUnavailable(status)) return;  // Or on its way out.
  LogError("cannot send to " + name() +
           ", which is killed: " + std::string(status.message()));
  Kill();
}

void Service::OnClosed(const absl::Status& reason) {
  channel_.reset();
  if (wait_status_) {
    BecomeGone();
    return;
  }
  if (absl::IsDataLoss(reason))
    LogError(name() + ": " + std::string(reason.message()));
  SetTimer(kPatience, [this] { Kill(); });
}

bool Service::HandleExit(pid_t pid, int wait_status) {
  if (!has_process() || pid != pid_) return false;
  wait_status_ = wait_status;
  if (channel_ == nullptr) {
    BecomeGone();
  } else {
    SetTimer(kChannelGrace, [this] {
      channel_.reset();
      BecomeGone();
    });
  }
  return true;
}

void Service::BecomeGone() {
  SetTimer(absl::ZeroDuration(), nullptr);
  const absl::Duration alive = loop_.Now() - started_at_;
  const ServiceExit exit{.pid = pid_,
                         .signaled = WIFSIGNALED(*wait_status_),
                         .status = WIFSIGNALED(*wait_status_)
                                       ? WTERMSIG(*wait_status_)
                                       : WEXITSTATUS(*wait_status_),
                         .restart_in = backoff_.Next(alive)};
  const std::string what =
      name() + " (pid " + std::to_string(pid_) + ") " + Describe(exit);
  pid_ = -1;
  callbacks_.gone(exit);
  if (stopping_) {
    LogInfo(what);
    return;
  }
  LogWarning(what + " after " +
             absl::FormatDuration(absl::Trunc(alive, absl::Milliseconds(1))) +
             ", starting it again " +
             (exit.restart_in == absl::ZeroDuration()
                  ? "now"
                  : "in " + absl::FormatDuration(exit.restart_in)));
  StartAfter(exit.restart_in);
}

void Service::StartAfter(absl::Duration wait) {
  SetTimer(wait, [this] { Start(); });
}

void Service::Stop() {
  stopping_ = true;
  channel_.reset();
  SetTimer(absl::ZeroDuration(), nullptr);
  if (wait_status_ && pid_ > 0) {
    BecomeGone();
  } else if (has_process()) {
    kill(pid_, SIGTERM);
    SetTimer(kPatience, [this] { Kill(); });
  }
}

void Service::Kill() {
  if (has_process()) kill(pid_, SIGKILL);
}

void Service::SetTimer(absl::Duration delay, std::function<void()> callback) {
  loop_.Cancel(timer_);
  timer_ = callback ? loop_.RunAfter(delay, std::move(callback)) : kNoTimer;
}

}  // namespace apm::keeper
