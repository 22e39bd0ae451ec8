#include "ctl/worker_text.h"

#include <string>
#include <utility>
#include <vector>

#include <absl/strings/match.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <absl/time/time.h>

#include "ctl/human.h"
#include "ctl/printable.h"
#include "ctl/table.h"

namespace apm::ctl {
namespace {

using Row = std::vector<Cell>;
using Pairs = std::vector<std::pair<std::string, std::string>>;

constexpr char kNone[] = "-";

Cell Right(std::string text) {
  return {.text = std::move(text), .right = true};
}

std::string InstanceName(const v1::Worker& worker,
                         const v1::Instance& instance) {
  return worker.instances_size() == 1
             ? worker.name()
             : absl::StrCat(worker.name(), "/", instance.index());
}

Row InstanceRow(const v1::Worker& worker, const v1::Instance& instance) {
  const bool runs = instance.pid() != 0;
  return {
      {.text = InstanceName(worker, instance)},
      {.text = instance.state(), .color = ColorOfState(instance.state())},
      {.text = worker.mode()},
      Right(runs ? absl::StrCat(instance.pid()) : kNone),
      Right(runs ? HumanDuration(absl::Milliseconds(instance.uptime_ms()))
                 : kNone),
      Right(absl::StrCat(instance.restarts())),
      Right(runs ? absl::StrFormat("%.1f%%", instance.cpu_percent()) : kNone),
      Right(runs ? HumanBytes(instance.rss_bytes()) : kNone),
      {.text = worker.servers().empty()
                   ? kNone
                   : Printable(absl::StrJoin(worker.servers(), " "))},
  };
}

std::string CommandText(const v1::WorkerConfig& config) {
  return config.params().empty()
             ? config.exec()
             : absl::StrCat(config.exec(), " ",
                            absl::StrJoin(config.params(), " "));
}

Pairs ConfigPairs(const v1::Worker& worker) {
  const v1::WorkerConfig& config = worker.config();
  return {
      {"name", worker.name()},
      {"state", worker.state()},
      {"problem", worker.problem()},
      {"mode", worker.mode()},
      {"source", worker.source()},
      {"by command", absl::StrJoin(worker.overlays(), ", ")},
      {"servers", absl::StrJoin(worker.servers(), " ")},
      {"command", CommandText(config)},
      {"folder", config.path()},
      {"user", config.user()},
      {"variables", absl::StrJoin(config.env(), " ",
                                  [](std::string* out, const auto& variable) {
                                    absl::StrAppend(out, variable.first, "=",
                                                    variable.second);
                                  })},
      {"instances", absl::StrCat(config.instances())},
      {"restart", config.restart()},
      {"stop", absl::StrCat(config.stop_signal(), ", then KILL after ",
                            HumanDuration(
                                absl::Milliseconds(config.stop_timeout_ms())))},
      {"trust proxy", config.trust_proxy() ? "yes" : ""},
      {"trusted", absl::StrJoin(config.trusted(), " ")},
      {"access log", Printable(worker.access_log_file())},
  };
}

// A worker without listeners has no traffic to speak of.
Pairs TrafficPairs(const v1::Worker& worker) {
  if (worker.servers().empty()) return {};
  const v1::Counters& counters = worker.counters();
  const auto unless_zero = [](uint64_t count) {
    return count == 0 ? std::string() : absl::StrCat(count);
  };
  return {
      {"requests",
       absl::StrCat(counters.requests(), ", ", counters.requests_in_flight(),
                    " in flight, ", counters.requests_queued(), " queued")},
      {"responses",
       absl::StrFormat("2xx %d, 3xx %d, 4xx %d, 5xx %d",
                       counters.responses_2xx(), counters.responses_3xx(),
                       counters.responses_4xx(), counters.responses_5xx())},
      {"websockets", absl::StrCat(counters.websocket_opened(), ", ",
                                  counters.websocket_open(), " open")},
      {"bytes", absl::StrCat(HumanBytes(counters.bytes_in()), " in, ",
                             HumanBytes(counters.bytes_out()), " out")},
      {"bad frames", unless_zero(counters.frames_bad())},
      {"late frames", unless_zero(counters.late_frames())},
      {"stray output", counters.stray_bytes() == 0
                           ? std::string()
                           : HumanBytes(counters.stray_bytes())},
  };
}

Pairs InstancePairs(const v1::Worker& worker, const v1::Instance& instance,
                    bool colors) {
  const bool runs = instance.pid() != 0;
  const v1::LastExit& exit = instance.last_exit();
  return {
      {absl::StrCat(worker.name(), "/", instance.index()),
       Paint(instance.state(), ColorOfState(instance.state()), colors)},
      {"  pid", runs ? absl::StrCat(instance.pid()) : ""},
      {"  connector", Printable(instance.connector())},
      {"  up",
       runs ? HumanDuration(absl::Milliseconds(instance.uptime_ms())) : ""},
      {"  restarts", absl::StrCat(instance.restarts())},
      {"  memory", runs ? HumanBytes(instance.rss_bytes()) : ""},
      {"  cpu", runs ? absl::StrFormat("%.1f%%", instance.cpu_percent()) : ""},
      {"  last exit",
       instance.has_last_exit()
           ? absl::StrCat(exit.text(), ", ",
                          HumanTime(absl::FromUnixMillis(exit.at_unix_ms())))
           : ""},
      {"  next try",
       instance.next_retry_unix_ms() == 0
           ? ""
           : HumanTime(absl::FromUnixMillis(instance.next_retry_unix_ms()))},
      {"  problem", Printable(instance.problem())},
  };
}

}  // namespace

std::string ProblemLine(const v1::Worker& worker) {
  if (worker.problem().empty() || worker.state() == "ready") return "";
  std::string line = absl::StrCat(worker.name(), ": ", worker.state(), ": ",
                                  Printable(worker.problem()));
  if (!absl::StrContains(line, "apmctl ")) {
    absl::StrAppend(&line, "; see: apmctl logs ", worker.name());
  }
  return line + "\n";
}

bool IsChangedByCommand(const v1::Worker& worker) {
  return worker.source() == "config" && !worker.overlays().empty();
}

std::string OverlayLine(const v1::Worker& worker) {
  if (!IsChangedByCommand(worker)) return "";
  return absl::StrCat(worker.name(), ": changed by command: ",
                      Printable(absl::StrJoin(worker.overlays(), ", ")),
                      "; undo with: apmctl config apply\n");
}

std::string WorkersTable(const std::vector<v1::Worker>& workers, bool colors) {
  std::vector<Row> rows;
  rows.push_back({{.text = "NAME"},
                  {.text = "STATE"},
                  {.text = "MODE"},
                  Right("PID"),
                  Right("UPTIME"),
                  Right("RESTARTS"),
                  Right("CPU"),
                  Right("MEMORY"),
                  {.text = "SERVERS"}});
  std::string notes;
  for (const v1::Worker& worker : workers) {
    for (const v1::Instance& instance : worker.instances()) {
      rows.push_back(InstanceRow(worker, instance));
    }
    notes += ProblemLine(worker) + OverlayLine(worker);
  }
  if (!notes.empty()) notes.insert(0, "\n");
  return FormatTable(rows, colors) + notes;
}

std::string WorkerDetails(const v1::Worker& worker, bool colors) {
  Pairs pairs = ConfigPairs(worker);
  for (auto& [name, value] : pairs) value = Printable(value);
  pairs[1].second = Paint(worker.state(), ColorOfState(worker.state()), colors);
  const Pairs traffic = TrafficPairs(worker);
  pairs.insert(pairs.end(), traffic.begin(), traffic.end());
  std::string text = FormatPairs(pairs);
  for (const v1::Instance& instance : worker.instances()) {
    text += "\n" + FormatPairs(InstancePairs(worker, instance, colors));
  }
  return text;
}

std::string WorkerLine(const v1::Worker& worker, bool colors) {
  std::vector<std::string> pids;
  for (const v1::Instance& instance : worker.instances()) {
    if (instance.pid() != 0) pids.push_back(absl::StrCat(instance.pid()));
  }
  std::string line =
      absl::StrCat(worker.name(), ": ",
                   Paint(worker.state(), ColorOfState(worker.state()), colors));
  if (!pids.empty()) {
    absl::StrAppend(&line, ", pid ", absl::StrJoin(pids, " "));
  }
  return line + "\n";
}

}  // namespace apm::ctl
