// apmctl status: what runs, since when, and where its files are.

#include <stdio.h>

#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/human.h"
#include "ctl/json_output.h"
#include "ctl/printable.h"
#include "ctl/table.h"

namespace apm::ctl {
namespace {

std::string Process(int64_t pid) {
  return pid == 0 ? "not running" : absl::StrCat("pid ", pid);
}

std::string StatusText(const v1::GetStatusResponse& status, bool colors) {
  const absl::Duration up =
      absl::Now() - absl::FromUnixMillis(status.started_unix_ms());
  std::string agent =
      absl::StrCat("version ", status.version(), ", pid ", status.agent_pid(),
                   ", up ", HumanDuration(up));
  if (status.agent_incarnation() > 1) {
    absl::StrAppend(&agent, ", restarted ", status.agent_incarnation() - 1,
                    " times");
  }
  std::string text = FormatPairs({
      {"agent", agent},
      {"keeper", Process(status.keeper_pid())},
      {"proxy", Process(status.proxy_pid())},
      {"socket", Printable(status.socket())},
      {"state", Printable(status.state_dir())},
      {"log",
       status.log_file() == "-" ? "stderr" : Printable(status.log_file())},
      {"config", status.config_files().empty()
                     ? "none"
                     : Printable(absl::StrJoin(status.config_files(), " "))},
      {"workers", absl::StrCat(status.workers(), ", ", status.instances_ready(),
                               " of ", status.instances(), " instances ready")},
  });
  for (const std::string& warning : status.warnings()) {
    absl::StrAppend(&text, Paint("warning:", Color::kYellow, colors), " ",
                    Printable(warning), "\n");
  }
  return text;
}

ExitCode ReportNoAgent(const absl::Status& reason, const Globals& globals) {
  // That it does not run is an answer too.
  fputs(globals.output == Output::kJson ? NotRunningJson(globals.socket).c_str()
                                        : "not running\n",
        stdout);
  return ReportError(reason);
}

}  // namespace

ExitCode Run(const StatusCommand& /*command*/, const Globals& globals) {
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(globals, /*absence=*/absl::ZeroDuration());
  if (absl::IsUnavailable(client.status())) {
    return ReportNoAgent(client.status(), globals);
  }
  if (!client.ok()) return ReportError(client.status());
  const auto status = (*client)->GetStatus();
  if (!status.ok()) return ReportError(status.status());
  fputs((globals.output == Output::kJson ? StatusJson(*status)
                                         : StatusText(*status, globals.colors))
            .c_str(),
        stdout);
  return ExitCode::kDone;
}

}  // namespace apm::ctl
