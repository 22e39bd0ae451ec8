#include "agent/keeper/service.h"

#include <signal.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>

#include <algorithm>
#include <deque>
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

namespace pb = ::apm::internal::v1;

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
  APM_RETURN_IF_ERROR(Listen(*channel));
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

absl::Status Service::Listen(Channel& channel) {
  return channel.Start(
      [this](std::string_view message, std::vector<UniqueFd> fds) {
        callbacks_.message(message, std::move(fds));
      },
      [this](const absl::Status& reason) { OnClosed(reason); });
}

void Service::Save(pb::KeptService& kept) const {
  kept.set_pid(std::max(pid_, 0));
  kept.set_incarnation(incarnation_);
  kept.set_started_at_ns(absl::ToInt64Nanoseconds(started_at_));
  kept.set_start_at_ns(absl::ToInt64Nanoseconds(start_at_));
  kept.set_last_wait_ns(absl::ToInt64Nanoseconds(backoff_.last()));
  if (wait_status_) kept.mutable_exit()->set_wait_status(*wait_status_);
  if (channel_ == nullptr) return;
  kept.mutable_channel()->set_fd(channel_->socket());
  for (const Channel::Packet& packet : channel_->queue()) {
    pb::KeptPacket* kept_packet = kept.mutable_channel()->add_queue();
    kept_packet->set_bytes(packet.bytes);
    for (const UniqueFd& fd : packet.fds) kept_packet->add_fds(fd.get());
  }
}

absl::Status Service::TakeOver(const pb::KeptService& kept) {
  incarnation_ = kept.incarnation();
  started_at_ = absl::Nanoseconds(kept.started_at_ns());
  backoff_ = RestartBackoff(absl::Nanoseconds(kept.last_wait_ns()));
  if (kept.pid() == 0) {
    StartAfter(absl::Nanoseconds(kept.start_at_ns()) - loop_.Now());
    return absl::OkStatus();
  }
  pid_ = kept.pid();
  if (kept.has_exit()) wait_status_ = kept.exit().wait_status();
  if (kept.has_channel()) {
    std::deque<Channel::Packet> queue;
    for (const pb::KeptPacket& kept_packet : kept.channel().queue()) {
      Channel::Packet& packet = queue.emplace_back();
      packet.bytes = kept_packet.bytes();
      for (const int fd : kept_packet.fds()) packet.fds.emplace_back(fd);
    }
    channel_ = std::make_unique<Channel>(loop_, UniqueFd(kept.channel().fd()),
                                         std::move(queue));
    APM_RETURN_IF_ERROR(Listen(*channel_));
  }
  LimitTheRest();
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
  LimitTheRest();
}

void Service::LimitTheRest() {
  if (channel_ == nullptr && !wait_status_) {
    SetTimer(kPatience, [this] { Kill(); });
  } else if (channel_ != nullptr && wait_status_) {
    SetTimer(kChannelGrace, [this] {
      channel_.reset();
      BecomeGone();
    });
  }
}

bool Service::HandleExit(pid_t pid, int wait_status) {
  if (!has_process() || pid != pid_) return false;
  wait_status_ = wait_status;
  if (channel_ == nullptr) {
    BecomeGone();
  } else {
    LimitTheRest();
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
  wait_status_.reset();
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
  start_at_ = loop_.Now() + wait;
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
