#include "ctl/stream.h"

#include <errno.h>
#include <stdio.h>

#include <algorithm>
#include <memory>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "ctl/client.h"
#include "ctl/command_line.h"
#include "ctl/output_watch.h"
#include "ctl/printable.h"

namespace apm::ctl {
namespace {

// A killed agent is back within some 100 ms; one that is being upgraded by its
// package may take minutes.
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(50);
constexpr absl::Duration kLongestBackoff = absl::Seconds(2);

absl::Status NobodyReads() {
  return absl::CancelledError("nobody reads the output");
}

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> StreamFollower::Connect() {
  for (;;) {
    // An agent that accepts and ends at once is no reason to spin.
    if (is_gone_) {
      if (WaitForOutput(-1, backoff_) == OutputWait::kReaderGone) {
        return NobodyReads();
      }
      backoff_ = std::min(backoff_ * 2, kLongestBackoff);
    }
    absl::StatusOr<std::unique_ptr<Client>> client = Client::Connect(globals_);
    const bool may_come = absl::IsUnavailable(client.status()) ||
                          absl::IsDeadlineExceeded(client.status());
    if (!may_come || !was_connected_) {
      was_connected_ = client.ok();
      return client;
    }
    SayItIsGone();
  }
}

absl::Status StreamFollower::FlushOutput() {
  if (fflush(stdout) == 0 && ferror(stdout) == 0) return absl::OkStatus();
  // SIGPIPE would have ended us, had our parent not set it to be ignored.
  if (errno == EPIPE) return NobodyReads();
  return absl::InternalError("the output cannot be written");
}

void StreamFollower::SayItIsGone() {
  if (is_gone_) return;
  is_gone_ = true;
  backoff_ = kFirstBackoff;
  fprintf(stderr,
          "apmctl: the agent on '%s' went away; waiting for it to come back\n",
          Printable(globals_.socket).c_str());
}

void StreamFollower::SayItIsBack() {
  if (!is_gone_) return;
  is_gone_ = false;
  fputs("apmctl: the agent is back\n", stderr);
}

}  // namespace apm::ctl
