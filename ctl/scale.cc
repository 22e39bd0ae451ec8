// apmctl scale: how many instances a worker has.

#include <stdio.h>

#include <cstdint>
#include <limits>
#include <memory>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include "base/status/status_macros.h"
#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"
#include "ctl/notices.h"
#include "ctl/worker_text.h"

namespace apm::ctl {
namespace {

// The agent knows the limits; only what its message cannot express is refused
// here.
absl::StatusOr<uint32_t> Number(Client& client, const ScaleCommand& command) {
  int64_t number = command.number;
  if (command.relative) {
    APM_ASSIGN_OR_RETURN(const v1::Worker worker, client.Get(command.name));
    number += worker.instances_size();
    if (number < 1) {
      return absl::InvalidArgumentError(absl::StrFormat(
          "'%s' has %d instances, of which one must stay; stop it instead: "
          "apmctl stop %s",
          command.name, worker.instances_size(), command.name));
    }
  }
  if (number > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%d instances are too many", number));
  }
  return static_cast<uint32_t>(number);
}

absl::StatusOr<v1::Worker> Scale(const ScaleCommand& command,
                                 const Globals& globals) {
  APM_ASSIGN_OR_RETURN(const std::unique_ptr<Client> client,
                       Client::Connect(globals));
  APM_ASSIGN_OR_RETURN(const uint32_t number, Number(*client, command));
  v1::ScaleWorkerRequest request;
  request.set_name(command.name);
  request.set_instances(number);
  request.set_no_wait(command.no_wait);
  return client->Scale(request);
}

}  // namespace

ExitCode Run(const ScaleCommand& command, const Globals& globals) {
  const absl::StatusOr<v1::Worker> worker = Scale(command, globals);
  if (!worker.ok()) return ReportError(worker.status());
  fputs((globals.output == Output::kJson ? WorkersJson({*worker})
                                         : WorkerLine(*worker, globals.colors))
            .c_str(),
        stdout);
  ReportWarnings(*worker);
  if (IsChangedByCommand(*worker)) {
    Hint(absl::StrFormat(
        "%s keeps this number, over restarts too, until: apmctl config apply",
        worker->name()));
  }
  return ExitCode::kDone;
}

}  // namespace apm::ctl
