#include "ctl/json_output.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>

namespace apm::ctl {
namespace {

using Json = nlohmann::ordered_json;  // In the order of the documentation.

// Never throws: what is no UTF-8 is replaced.
std::string Dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

// A protobuf repeated field as an array.
template <typename Repeated>
Json List(const Repeated& values) {
  return Json(std::vector<std::string>(values.begin(), values.end()));
}

Json InstanceSummary(const v1::Instance& instance) {
  return {{"index", instance.index()},
          {"id", instance.id()},
          {"pid", instance.pid()},
          {"state", instance.state()},
          {"restarts", instance.restarts()},
          {"uptime_ms", instance.uptime_ms()},
          {"cpu_percent", instance.cpu_percent()},
          {"rss_bytes", instance.rss_bytes()}};
}

Json WorkerSummary(const v1::Worker& worker) {
  Json instances = Json::array();
  for (const v1::Instance& instance : worker.instances()) {
    instances.push_back(InstanceSummary(instance));
  }
  return {{"name", worker.name()},
          {"state", worker.state()},
          {"mode", worker.mode()},
          {"source", worker.source()},
          {"servers", List(worker.servers())},
          {"instances", std::move(instances)}};
}

Json LastExit(const v1::LastExit& exit) {
  return {{"code", exit.code()},
          {"signal", exit.signal()},
          {"at_unix_ms", exit.at_unix_ms()},
          {"text", exit.text()},
          {"max_rss_bytes", exit.max_rss_bytes()},
          {"cpu_ms", exit.cpu_ms()}};
}

Json EventExit(const v1::EventExit& exit) {
  return {{"code", exit.code()},
          {"signal", exit.signal()},
          {"core_dumped", exit.core_dumped()},
          {"max_rss_bytes", exit.max_rss_bytes()},
          {"cpu_ms", exit.cpu_ms()}};
}

Json Config(const v1::WorkerConfig& config) {
  const std::map<std::string, std::string> env(config.env().begin(),
                                               config.env().end());
  return {{"name", config.name()},
          {"exec", config.exec()},
          {"params", List(config.params())},
          {"path", config.path()},
          {"env", env},
          {"servers", List(config.servers())},
          {"instances", config.instances()},
          {"restart", config.restart()},
          {"stop_signal", config.stop_signal()},
          {"stop_timeout_ms", config.stop_timeout_ms()},
          {"trust_proxy", config.trust_proxy()},
          {"trusted", List(config.trusted())},
          {"socket_mode", config.socket_mode()},
          {"user", config.user()},
          {"access_log", config.access_log()}};
}

Json Counters(const v1::Counters& counters) {
  return {{"requests", counters.requests()},
          {"responses_1xx", counters.responses_1xx()},
          {"responses_2xx", counters.responses_2xx()},
          {"responses_3xx", counters.responses_3xx()},
          {"responses_4xx", counters.responses_4xx()},
          {"responses_5xx", counters.responses_5xx()},
          {"responses_502", counters.responses_502()},
          {"responses_503", counters.responses_503()},
          {"responses_504", counters.responses_504()},
          {"requests_in_flight", counters.requests_in_flight()},
          {"requests_queued", counters.requests_queued()},
          {"websocket_opened", counters.websocket_opened()},
          {"websocket_open", counters.websocket_open()},
          {"bytes_in", counters.bytes_in()},
          {"bytes_out", counters.bytes_out()},
          {"frames_in", counters.frames_in()},
          {"frames_out", counters.frames_out()},
          {"frames_bad", counters.frames_bad()},
          {"late_frames", counters.late_frames()},
          {"stray_bytes", counters.stray_bytes()},
          {"stray_dropped_bytes", counters.stray_dropped_bytes()},
          {"log_lines_dropped", counters.log_lines_dropped()}};
}

}  // namespace

std::string WorkersJson(const std::vector<v1::Worker>& workers) {
  Json list = Json::array();
  for (const v1::Worker& worker : workers) {
    list.push_back(WorkerSummary(worker));
  }
  return Dump({{"workers", std::move(list)}});
}

std::string WorkerJson(const v1::Worker& worker) {
  Json json = WorkerSummary(worker);
  json["id"] = worker.id();
  json["problem"] = worker.problem();
  for (int i = 0; i < worker.instances_size(); ++i) {
    const v1::Instance& instance = worker.instances(i);
    Json& details = json["instances"][static_cast<size_t>(i)];
    details["problem"] = instance.problem();
    details["connector"] = instance.connector();
    details["next_retry_at"] = instance.next_retry_unix_ms();
    details["last_exit"] =
        instance.has_last_exit() ? LastExit(instance.last_exit()) : Json();
  }
  json["access_log_file"] = worker.access_log_file();
  json["config"] = Config(worker.config());
  json["counters"] = Counters(worker.counters());
  return Dump(json);
}

std::string StatusJson(const v1::GetStatusResponse& status) {
  return Dump({{"running", true},
               {"version", status.version()},
               {"agent_pid", status.agent_pid()},
               {"keeper_pid", status.keeper_pid()},
               {"proxy_pid", status.proxy_pid()},
               {"agent_incarnation", status.agent_incarnation()},
               {"started_unix_ms", status.started_unix_ms()},
               {"socket", status.socket()},
               {"state_dir", status.state_dir()},
               {"log_file", status.log_file()},
               {"config_files", List(status.config_files())},
               {"workers", status.workers()},
               {"instances", status.instances()},
               {"instances_ready", status.instances_ready()},
               {"warnings", List(status.warnings())}});
}

std::string NotRunningJson(std::string_view socket) {
  return Dump({{"running", false}, {"socket", socket}});
}

std::string PingJson(std::string_view version, int64_t round_trip_us) {
  return Dump({{"version", version}, {"round_trip_us", round_trip_us}});
}

std::string VersionJson(std::string_view version) {
  return Dump({{"version", version}});
}

std::string LogLineJson(std::string_view worker, const v1::LogLine& line) {
  return Dump({{"time_unix_us", line.time_unix_us()},
               {"worker", worker},
               {"instance", line.instance()},
               {"stream", line.stream()},
               {"text", line.text()}});
}

std::string EventJson(const v1::Event& event) {
  return Dump({{"cursor", absl::StrCat(event.cursor().epoch(), ":",
                                       event.cursor().sequence())},
               {"time_unix_us", event.time_unix_us()},
               {"type", event.type()},
               {"severity", event.severity()},
               {"worker", event.worker()},
               {"instance", event.instance()},
               {"generation", event.generation()},
               {"pid", event.pid()},
               {"from_state", event.from_state()},
               {"to_state", event.to_state()},
               {"text", event.text()},
               {"exit", event.has_exit() ? EventExit(event.exit()) : Json()},
               {"stderr_tail", List(event.stderr_tail())}});
}

std::string DeletedJson(const std::vector<std::string>& names,
                        const std::vector<std::string>& survivors) {
  return Dump({{"deleted", names}, {"survivors", survivors}});
}

std::string KilledJson(const v1::ShutdownResponse& report) {
  return Dump({{"workers_stopped", report.workers_stopped()},
               {"survivors", List(report.survivors())}});
}

}  // namespace apm::ctl
