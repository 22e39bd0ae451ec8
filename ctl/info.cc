// apmctl info: everything about one worker.

#include <stdio.h>

#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"
#include "ctl/notices.h"
#include "ctl/worker_text.h"

namespace apm::ctl {

ExitCode Run(const InfoCommand& command, const Globals& globals) {
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(globals);
  if (!client.ok()) return ReportError(client.status());
  const auto worker = (*client)->Get(command.name);
  if (!worker.ok()) return ReportError(worker.status());
  fputs(
      (globals.output == Output::kJson ? WorkerJson(*worker)
                                       : WorkerDetails(*worker, globals.colors))
          .c_str(),
      stdout);
  ReportWarnings(*worker);
  return ExitCode::kDone;
}

}  // namespace apm::ctl
