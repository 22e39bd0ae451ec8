// apmctl run: adds a worker and starts it.

#include <stdio.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include "base/status/status_macros.h"
#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"
#include "ctl/notices.h"
#include "ctl/program.h"
#include "ctl/worker_text.h"

namespace apm::ctl {
namespace {

constexpr char kDefaultPath[] = "/usr/local/bin:/usr/bin:/bin";

absl::StatusOr<v1::CreateWorkerRequest> BuildRequest(
    const RunCommand& command) {
  std::error_code error;
  const std::string here = std::filesystem::current_path(error).string();
  if (error) {
    return absl::FailedPreconditionError(
        absl::StrCat("find the current folder: ", error.message()));
  }
  const char* const path = getenv("PATH");
  APM_ASSIGN_OR_RETURN(const Program program,
                       ResolveProgram(command.program, here,
                                      path == nullptr ? kDefaultPath : path));

  v1::CreateWorkerRequest request;
  request.set_no_wait(command.no_wait);
  v1::WorkerConfig& config = *request.mutable_config();
  config.set_name(command.name.empty() ? program.default_name : command.name);
  config.set_exec(program.exec);
  config.mutable_params()->Assign(program.params.begin(), program.params.end());
  for (const std::string& argument : command.arguments) {
    config.add_params(argument);
  }
  config.set_path(command.folder.empty() ? here
                                         : AbsolutePath(command.folder, here));
  for (const auto& [name, value] : command.environment) {
    (*config.mutable_env())[name] = value;
  }
  config.mutable_servers()->Assign(command.servers.begin(),
                                   command.servers.end());
  config.set_instances(command.instances);
  config.set_restart(command.restart);
  config.set_stop_timeout_ms(absl::ToInt64Milliseconds(command.stop_timeout));
  config.set_trust_proxy(command.trust_proxy);
  config.set_access_log(command.access_log);
  return request;
}

}  // namespace

ExitCode Run(const RunCommand& command, const Globals& globals) {
  const absl::StatusOr<v1::CreateWorkerRequest> request = BuildRequest(command);
  if (!request.ok()) return ReportError(request.status());
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(globals);
  if (!client.ok()) return ReportError(client.status());
  const auto worker = (*client)->Create(*request);
  if (!worker.ok()) return ReportError(worker.status());
  fputs((globals.output == Output::kJson ? WorkersJson({*worker})
                                         : WorkerLine(*worker, globals.colors))
            .c_str(),
        stdout);
  ReportWarnings(*worker);
  return ExitCode::kDone;
}

}  // namespace apm::ctl
