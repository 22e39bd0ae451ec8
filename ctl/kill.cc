// apmctl kill: stops every worker and the agent, and waits until all is gone.

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "base/os/unique_fd.h"
#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"
#include "ctl/printable.h"
#include "ctl/trust.h"

namespace apm::ctl {
namespace {

constexpr absl::Duration kRetryInterval = absl::Milliseconds(10);

// Readable when the process has ended; empty if it has already.
UniqueFd WatchProcess(int64_t pid) {
  return UniqueFd(
      static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)));
}

bool WaitForEnd(const UniqueFd& process, absl::Time deadline) {
  if (!process) return true;
  pollfd wait{.fd = process.get(), .events = POLLIN, .revents = 0};
  for (;;) {
    const int64_t left_ms = std::clamp<int64_t>(
        absl::ToInt64Milliseconds(deadline - absl::Now()), 0, 3'600'000);
    const int ready = poll(&wait, 1, static_cast<int>(left_ms));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

// The socket itself has no event for its end.
bool WaitForSocket(const Globals& globals, absl::Time deadline) {
  while (
      !absl::IsUnavailable(ConnectToAgent(globals, kRetryInterval).status())) {
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(kRetryInterval);
  }
  return true;
}

void Print(const v1::ShutdownResponse& report, const Globals& globals) {
  if (globals.output == Output::kJson) {
    fputs(KilledJson(report).c_str(), stdout);
    return;
  }
  printf("stopped %u worker%s and the agent\n", report.workers_stopped(),
         report.workers_stopped() == 1 ? "" : "s");
  for (const std::string& survivor : report.survivors()) {
    printf("%s did not stop and was killed\n", Printable(survivor).c_str());
  }
}

}  // namespace

ExitCode Run(const KillCommand& /*command*/, const Globals& globals) {
  const absl::Time deadline = absl::Now() + globals.timeout;
  absl::StatusOr<std::unique_ptr<Client>> client = Client::Connect(globals);
  if (!client.ok()) return ReportError(client.status());
  const auto status = (*client)->GetStatus();
  if (!status.ok()) return ReportError(status.status());
  // The keeper ends last.
  const UniqueFd keeper = WatchProcess(status->keeper_pid());

  const auto report = (*client)->Shutdown();
  if (!report.ok()) return ReportError(report.status());
  client->reset();  // The agent waits a while for those who are connected.
  if (!WaitForEnd(keeper, deadline) || !WaitForSocket(globals, deadline)) {
    return ReportError(absl::DeadlineExceededError(absl::StrCat(
        "the workers have stopped, but the agent on '", globals.socket,
        "' has not gone within ", absl::FormatDuration(globals.timeout),
        "; look: apmctl status")));
  }
  Print(*report, globals);
  return ExitCode::kDone;
}

}  // namespace apm::ctl
