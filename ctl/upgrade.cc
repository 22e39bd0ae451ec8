// apmctl upgrade: the installed programs take the place of the running ones.

#include <stdio.h>

#include <cstdint>
#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"
#include "ctl/printable.h"

namespace apm::ctl {
namespace {

std::string Count(uint32_t count, const char* one, const char* several) {
  return absl::StrCat(count, " ", count == 1 ? one : several);
}

std::string UpgradeText(const v1::UpgradeResponse& report) {
  return absl::StrCat(
      "keeper: version ", Printable(report.keeper_version()), ", pid ",
      report.keeper_pid(), "; kept ",
      Count(report.processes_kept(), "process", "processes"), " and ",
      Count(report.descriptors_kept(), "descriptor", "descriptors"), "\n");
}

}  // namespace

ExitCode Run(const UpgradeCommand& command, const Globals& globals) {
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(globals);
  if (!client.ok()) return ReportError(client.status());
  v1::UpgradeRequest request;
  request.set_keeper(command.keeper);
  const auto report = (*client)->Upgrade(request);
  if (!report.ok()) return ReportError(report.status());
  fputs((globals.output == Output::kJson ? UpgradeJson(*report)
                                         : UpgradeText(*report))
            .c_str(),
        stdout);
  return ExitCode::kDone;
}

}  // namespace apm::ctl
