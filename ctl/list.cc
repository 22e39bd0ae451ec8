// apmctl list: every worker and its instances.

#include <stdio.h>

#include <memory>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"
#include "ctl/notices.h"
#include "ctl/worker_text.h"

namespace apm::ctl {

ExitCode Run(const ListCommand& /*command*/, const Globals& globals) {
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(globals);
  if (!client.ok()) return ReportError(client.status());
  const auto answer = (*client)->List();
  if (!answer.ok()) return ReportError(answer.status());
  const std::vector<v1::Worker> workers(answer->workers().begin(),
                                        answer->workers().end());
  if (globals.output == Output::kJson) {
    fputs(WorkersJson(workers).c_str(), stdout);
  } else if (workers.empty()) {
    fputs("no workers; add one with: apmctl run PROGRAM\n", stdout);
  } else {
    fputs(WorkersTable(workers, globals.colors).c_str(), stdout);
  }
  for (const v1::Worker& worker : workers) ReportWarnings(worker);
  return ExitCode::kDone;
}

}  // namespace apm::ctl
