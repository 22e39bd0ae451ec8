// apmctl logs: what a worker has printed.

#include <stdio.h>
#include <unistd.h>

#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"
#include "ctl/printable.h"

namespace apm::ctl {
namespace {

std::string Timestamp(const v1::LogLine& line) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3S%Ez ",
                          absl::FromUnixMicros(line.time_unix_us()),
                          absl::LocalTimeZone());
}

// "web/0 err | text". A file or a pipe gets the worker's bytes as they are.
std::string LineText(const std::string& worker, const v1::LogLine& line,
                     bool timestamps) {
  const bool to_terminal = isatty(STDOUT_FILENO) != 0;
  return absl::StrCat(timestamps ? Timestamp(line) : "", worker, "/",
                      line.instance(), " ", line.stream(), " | ",
                      to_terminal ? Printable(line.text()) : line.text(), "\n");
}

}  // namespace

ExitCode Run(const LogsCommand& command, const Globals& globals) {
  v1::ReadLogRequest request;
  request.set_name(command.name);
  request.set_lines(command.lines);
  request.set_stream(command.stream);
  request.set_contains(command.contains);

  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(globals);
  if (!client.ok()) return ReportError(client.status());
  const auto log = (*client)->ReadLog(request);
  if (!log.ok()) return ReportError(log.status());

  const std::string worker = command.name.substr(0, command.name.find('/'));
  for (const v1::LogLine& line : log->lines()) {
    const std::string text = globals.output == Output::kJson
                                 ? LogLineJson(worker, line)
                                 : LineText(worker, line, command.timestamps);
    fwrite(text.data(), 1, text.size(), stdout);  // There may be zeros in it.
  }
  return ExitCode::kDone;
}

}  // namespace apm::ctl
