// apmctl ping: whether the agent answers, and how fast.

#include <stdio.h>

#include <algorithm>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"

namespace apm::ctl {
namespace {

// Nothing tells when a socket appears in the abstract namespace.
constexpr absl::Duration kRetryInterval = absl::Milliseconds(10);

struct Pong {
  std::string version;
  absl::Duration round_trip;
};

absl::StatusOr<Pong> PingOnce(const Globals& globals) {
  absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(globals, /*absence=*/absl::ZeroDuration());
  if (!client.ok()) return client.status();
  const absl::Time sent = absl::Now();
  const auto status = (*client)->GetStatus();
  if (!status.ok()) return status.status();
  return Pong{status->version(), absl::Now() - sent};
}

// An agent that is on its way up or down may also hang up: that is no answer.
absl::StatusOr<Pong> PingUntil(absl::Time deadline, const Globals& globals) {
  for (;;) {
    Globals attempt = globals;
    const absl::Duration left = deadline - absl::Now();
    attempt.timeout =
        std::min(globals.timeout, std::max(left, absl::Milliseconds(1)));
    absl::StatusOr<Pong> pong = PingOnce(attempt);
    if (!absl::IsUnavailable(pong.status()) || left <= absl::ZeroDuration()) {
      return pong;
    }
    absl::SleepFor(std::min(kRetryInterval, left));
  }
}

}  // namespace

ExitCode Run(const PingCommand& command, const Globals& globals) {
  const bool waits = command.wait > absl::ZeroDuration();
  const absl::StatusOr<Pong> pong =
      waits ? PingUntil(absl::Now() + command.wait, globals)
            : PingOnce(globals);
  if (!pong.ok()) return ReportError(pong.status());
  if (globals.output == Output::kJson) {
    fputs(PingJson(pong->version, absl::ToInt64Microseconds(pong->round_trip))
              .c_str(),
          stdout);
  } else {
    printf("pong from apm %s in %.1f ms\n", pong->version.c_str(),
           absl::ToDoubleMilliseconds(pong->round_trip));
  }
  return ExitCode::kDone;
}

}  // namespace apm::ctl
