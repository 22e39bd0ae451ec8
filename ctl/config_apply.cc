// apmctl config apply: the plan first, since doing it may take a while; then
// what became of it.

#include <stdio.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"
#include "ctl/notices.h"
#include "ctl/printable.h"
#include "ctl/table.h"

namespace apm::ctl {
namespace {

constexpr char kOrphan[] = "orphan";

Color ColorOfAction(const std::string& action) {
  if (action == "create") return Color::kGreen;
  if (action == "delete") return Color::kRed;
  if (action == kOrphan) return Color::kFaint;
  return Color::kYellow;
}

std::string What(const v1::ConfigChange& change) {
  if (change.action() == kOrphan) {
    return "gone from the files; --prune deletes it";
  }
  return Printable(absl::StrJoin(change.fields(), ", "));
}

std::string PlanTable(const v1::ApplyConfigResponse& plan, bool colors) {
  std::vector<std::vector<Cell>> rows;
  rows.push_back({{.text = "WORKER"}, {.text = "ACTION"}, {.text = "WHAT"}});
  for (const v1::ConfigChange& change : plan.changes()) {
    rows.push_back(
        {{.text = change.worker()},
         {.text = change.action(), .color = ColorOfAction(change.action())},
         {.text = What(change)}});
  }
  return FormatTable(rows, colors);
}

// An orphan is told, not changed.
auto CountChanges(const v1::ApplyConfigResponse& response) {
  return std::ranges::count_if(response.changes(), [](const auto& change) {
    return change.action() != kOrphan;
  });
}

// Warnings and failures; returns how many of these there are.
size_t ReportProblems(const v1::ApplyConfigResponse& response) {
  for (const std::string& warning : response.warnings()) ReportWarning(warning);
  size_t failures = 0;
  for (const v1::ConfigChange& change : response.changes()) {
    if (change.error().empty()) continue;
    ++failures;
    ReportError(absl::FailedPreconditionError(
        absl::StrCat(change.worker(), ": ", change.error())));
  }
  return failures;
}

ExitCode Finish(const v1::ApplyConfigResponse& response) {
  return ReportProblems(response) == 0 ? ExitCode::kDone : ExitCode::kFailed;
}

ExitCode ApplyAndTell(Client& client, const v1::ApplyConfigRequest& request,
                      const Globals& globals) {
  v1::ApplyConfigRequest question = request;
  question.set_dry_run(true);
  const auto plan = client.ApplyConfig(question);
  if (!plan.ok()) return ReportError(plan.status());
  if (plan->changes().empty()) {
    puts("nothing to do: the workers agree with the configuration");
    return Finish(*plan);
  }
  fputs(PlanTable(*plan, globals.colors).c_str(), stdout);
  if (request.dry_run() || CountChanges(*plan) == 0) return Finish(*plan);

  fflush(stdout);
  const auto result = client.ApplyConfig(request);
  if (!result.ok()) return ReportError(result.status());
  const auto changes = CountChanges(*result);
  const size_t failures = ReportProblems(*result);
  if (failures == 0) {
    printf("applied %td change%s\n", changes, changes == 1 ? "" : "s");
    return ExitCode::kDone;
  }
  printf("applied %td of %td changes\n",
         changes - static_cast<std::ptrdiff_t>(failures), changes);
  return ExitCode::kFailed;
}

}  // namespace

ExitCode Run(const ConfigApplyCommand& command, const Globals& globals) {
  v1::ApplyConfigRequest request;
  request.set_prune(command.prune);
  request.set_dry_run(command.dry_run);
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(globals);
  if (!client.ok()) return ReportError(client.status());
  if (globals.output == Output::kTable) {
    return ApplyAndTell(**client, request, globals);
  }
  const auto result = (*client)->ApplyConfig(request);
  if (!result.ok()) return ReportError(result.status());
  fputs(ApplyJson(*result).c_str(), stdout);
  return Finish(*result);
}

}  // namespace apm::ctl
