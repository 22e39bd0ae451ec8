// apmctl start, stop, restart, reload and delete, of one worker or of several.

#include <stdio.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>

#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"
#include "ctl/notices.h"
#include "ctl/printable.h"
#include "ctl/worker_text.h"

namespace apm::ctl {
namespace {

// What has been done so far, for people at once and for JSON at the end.
class Report {
 public:
  explicit Report(const Globals& globals) : globals_(globals) {}

  void Done(const v1::Worker& worker) {
    workers_.push_back(worker);
    if (globals_.output == Output::kTable) {
      fputs(WorkerLine(worker, globals_.colors).c_str(), stdout);
    }
    ReportWarnings(worker);
  }

  void Deleted(const std::string& name,
               const v1::DeleteWorkerResponse& response) {
    deleted_.push_back(name);
    survivors_.insert(survivors_.end(), response.survivors().begin(),
                      response.survivors().end());
    if (globals_.output != Output::kTable) return;
    printf("%s: deleted\n", name.c_str());
    for (const std::string& survivor : response.survivors()) {
      printf("%s did not stop and was killed\n", Printable(survivor).c_str());
    }
  }

  void PrintJson(Verb verb) const {
    if (globals_.output != Output::kJson) return;
    fputs((verb == Verb::kDelete ? DeletedJson(deleted_, survivors_)
                                 : WorkersJson(workers_))
              .c_str(),
          stdout);
  }

 private:
  const Globals& globals_;
  std::vector<v1::Worker> workers_;
  std::vector<std::string> deleted_;
  std::vector<std::string> survivors_;
};

absl::StatusOr<v1::Worker> Call(Client& client, const OperateCommand& command,
                                const std::string& name) {
  switch (command.verb) {
    case Verb::kStart:
      return client.Start(name, command.no_wait);
    case Verb::kStop:
      return client.Stop(name, command.no_wait);
    case Verb::kRestart:
      return client.Restart(name, command.no_wait);
    case Verb::kReload:
      return client.Reload(name, command.no_wait);
    case Verb::kDelete:
      break;  // Answers with something else.
  }
  return absl::InternalError("not a verb that answers with a worker");
}

// What has been stopped or deleted stays so; who expects it to come back by
// itself, as the files say, is told.
void HintAtStop(const v1::Worker& worker, const std::string& name) {
  if (!IsChangedByCommand(worker)) return;
  Hint(absl::StrFormat(
      "%s stays stopped, over restarts too, until: apmctl start %s, or apmctl "
      "config apply",
      name, name));
}

std::string HintAtDelete(Client& client, const std::string& name) {
  if (!WantsHints()) return "";  // It costs two calls.
  const auto worker = client.Get(name);
  if (!worker.ok() || worker->source() != "config") return "";
  const auto status = client.GetStatus();
  if (!status.ok() || status->config_files().empty()) return "";
  return absl::StrFormat(
      "%s is still in the configuration (%s): remove it there too, or apmctl "
      "config apply brings it back",
      name, absl::StrJoin(status->config_files(), " "));
}

absl::Status Delete(Client& client, const std::string& name, Report& report) {
  const std::string hint = HintAtDelete(client, name);
  const auto response = client.Delete(name);
  if (!response.ok()) return response.status();
  report.Deleted(name, *response);
  if (!hint.empty()) Hint(hint);
  return absl::OkStatus();
}

absl::Status Operate(Client& client, const OperateCommand& command,
                     const std::string& name, Report& report) {
  if (command.verb == Verb::kDelete) return Delete(client, name, report);
  const auto worker = Call(client, command, name);
  if (!worker.ok()) return worker.status();
  report.Done(*worker);
  if (command.verb == Verb::kStop) HintAtStop(*worker, name);
  return absl::OkStatus();
}

}  // namespace

ExitCode Run(const OperateCommand& command, const Globals& globals) {
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(globals);
  if (!client.ok()) return ReportError(client.status());

  Report report(globals);
  size_t done = 0;
  std::optional<ExitCode> first_failure;
  for (const std::string& name : command.names) {
    const absl::Status status = Operate(**client, command, name, report);
    if (status.ok()) {
      ++done;
      continue;
    }
    const ExitCode code = ReportError(status);
    if (!first_failure) first_failure = code;
  }
  report.PrintJson(command.verb);
  if (!first_failure) return ExitCode::kDone;
  return done > 0 ? ExitCode::kPartlyDone : *first_failure;
}

}  // namespace apm::ctl
