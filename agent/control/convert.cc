#include "agent/control/convert.h"

#include <string.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include "agent/control/utf8.h"
#include "agent/supervisor/process_exit.h"
#include "agent/supervisor/stats.h"
#include "agent/supervisor/transition_table.h"
#include "agent/supervisor/worker_state.h"

namespace apm::control {
namespace {

// Of lines in one answer; the client's limit for a message is 4 MiB.
constexpr size_t kMaxAnswerBytes = size_t{3} << 20;
constexpr size_t kBytesBesidesText = 32;  // Of one line, encoded.

void AddTexts(const std::vector<std::string>& texts,
              google::protobuf::RepeatedPtrField<std::string>& out) {
  for (const std::string& text : texts) out.Add(ToUtf8(text));
}

v1::LastExit ToProto(const supervisor::ProcessExit& exit) {
  v1::LastExit proto;
  proto.set_code(exit.code);
  proto.set_signal(exit.signal);
  proto.set_at_unix_ms(exit.unix_ms);
  proto.set_text(supervisor::DescribeExit(exit));
  proto.set_max_rss_bytes(exit.max_rss_kb * 1024);
  proto.set_cpu_ms(static_cast<uint64_t>(
      absl::ToInt64Milliseconds(exit.user_time + exit.system_time)));
  return proto;
}

v1::Instance ToProto(const supervisor::InstanceSnapshot& instance, uint32_t id,
                     const agent::ProcessUsage& usage) {
  v1::Instance proto;
  proto.set_index(instance.index);
  proto.set_id(id);
  proto.set_pid(instance.pid);
  proto.set_state(std::string(supervisor::Name(instance.state)));
  proto.set_restarts(instance.restarts);
  proto.set_uptime_ms(absl::ToInt64Milliseconds(instance.uptime));
  proto.set_cpu_percent(usage.cpu_percent);
  proto.set_rss_bytes(usage.rss_bytes);
  if (instance.next_retry_at) {
    proto.set_next_retry_unix_ms(absl::ToUnixMillis(*instance.next_retry_at));
  }
  if (instance.last_exit) {
    *proto.mutable_last_exit() = ToProto(*instance.last_exit);
  }
  proto.set_problem(ToUtf8(instance.problem));
  proto.set_connector(ToUtf8(instance.connector));
  return proto;
}

v1::WorkerConfig ToProto(const config::WorkerConfig& config) {
  v1::WorkerConfig proto;
  proto.set_name(config.name);
  proto.set_exec(ToUtf8(config.exec));
  AddTexts(config.params, *proto.mutable_params());
  proto.set_path(ToUtf8(config.path));
  for (const auto& [name, value] : config.env) {
    (*proto.mutable_env())[ToUtf8(name)] = ToUtf8(value);
  }
  for (const config::ListenAddress& listener : config.listeners) {
    for (const std::string& url : config::FormatUrls(listener)) {
      proto.add_servers(ToUtf8(url));
    }
  }
  proto.set_instances(static_cast<uint32_t>(config.instances));
  proto.set_restart(std::string(config::RestartPolicyName(config.restart)));
  const char* const signal = sigabbrev_np(config.stop_signal);
  proto.set_stop_signal(signal != nullptr ? signal
                                          : absl::StrCat(config.stop_signal));
  proto.set_stop_timeout_ms(absl::ToInt64Milliseconds(config.stop_timeout));
  proto.set_trust_proxy(config.trust_proxy);
  for (const std::string& trusted : config.trusted) {
    proto.add_trusted(trusted);
  }
  proto.set_socket_mode(absl::StrFormat("%04o", config.socket_mode));
  proto.set_user(config.user);
  proto.set_access_log(config.access_log);
  return proto;
}

// As config.proto lists them.
std::string_view Name(agent::ConfigChange::Action action) {
  using Action = agent::ConfigChange::Action;
  switch (action) {
    case Action::kCreate:
      return "create";
    case Action::kUpdate:
      return "update";
    case Action::kRolling:
      return "rolling";
    case Action::kDelete:
      return "delete";
    case Action::kOverlay:
      return "overlay";
    case Action::kOrphan:
      return "orphan";
  }
  return "";
}

v1::Counters ToProto(const agent::TrafficCounters& counters) {
  v1::Counters proto;
  proto.set_requests(counters.requests);
  proto.set_responses_1xx(counters.responses_by_class[0]);
  proto.set_responses_2xx(counters.responses_by_class[1]);
  proto.set_responses_3xx(counters.responses_by_class[2]);
  proto.set_responses_4xx(counters.responses_by_class[3]);
  proto.set_responses_5xx(counters.responses_by_class[4]);
  proto.set_responses_502(counters.responses_502);
  proto.set_responses_503(counters.responses_503);
  proto.set_responses_504(counters.responses_504);
  proto.set_websocket_opened(counters.websocket_opened);
  proto.set_websocket_open(counters.websocket_open);
  proto.set_requests_in_flight(counters.requests_in_flight);
  proto.set_requests_queued(counters.requests_queued);
  proto.set_bytes_in(counters.bytes_in);
  proto.set_bytes_out(counters.bytes_out);
  proto.set_frames_in(counters.frames_in);
  proto.set_frames_out(counters.frames_out);
  proto.set_frames_bad(counters.frames_bad);
  proto.set_late_frames(counters.late_frames);
  proto.set_stray_bytes(counters.stray_bytes);
  proto.set_stray_dropped_bytes(counters.stray_dropped_bytes);
  proto.set_log_lines_dropped(counters.log_lines_dropped);
  return proto;
}

}  // namespace

v1::GetStatusResponse ToProto(const agent::AgentStatus& status) {
  v1::GetStatusResponse proto;
  proto.set_version(status.version);
  proto.set_agent_pid(status.agent_pid);
  proto.set_keeper_pid(status.keeper_pid);
  proto.set_proxy_pid(status.proxy_pid);
  proto.set_started_unix_ms(absl::ToUnixMillis(status.started));
  proto.set_socket(ToUtf8(status.socket));
  proto.set_state_dir(ToUtf8(status.state_dir));
  proto.set_log_file(ToUtf8(status.log_file));
  for (const std::string& file : status.config_files) {
    proto.add_config_files(ToUtf8(file));
  }
  for (const std::string& warning : status.warnings) {
    proto.add_warnings(ToUtf8(warning));
  }
  proto.set_agent_incarnation(status.agent_incarnation);
  proto.set_workers(status.workers);
  proto.set_instances(status.instances);
  proto.set_instances_ready(status.instances_ready);
  return proto;
}

v1::Worker ToProto(const agent::WorkerView& view) {
  v1::Worker proto;
  proto.set_id(view.id);
  proto.set_name(view.config.name);
  proto.set_state(std::string(supervisor::Name(view.state.state)));
  proto.set_mode(view.config.listeners.empty() ? "plain" : "pipe");
  proto.set_source(view.source == agent::WorkerSource::kConfig ? "config"
                                                               : "api");
  *proto.mutable_config() = ToProto(view.config);
  *proto.mutable_servers() = proto.config().servers();
  for (size_t i = 0; i < view.state.instances.size(); ++i) {
    *proto.add_instances() =
        ToProto(view.state.instances[i],
                i < view.instance_ids.size() ? view.instance_ids[i] : 0,
                i < view.usage.size() ? view.usage[i] : agent::ProcessUsage{});
  }
  *proto.mutable_counters() = ToProto(view.counters);
  proto.set_problem(ToUtf8(view.problem));
  proto.set_access_log_file(ToUtf8(view.access_log_file));
  AddTexts(view.overlays, *proto.mutable_overlays());
  AddTexts(view.warnings, *proto.mutable_warnings());
  return proto;
}

v1::ApplyConfigResponse ToProto(const agent::ApplyReport& report) {
  v1::ApplyConfigResponse proto;
  for (const agent::ConfigChange& change : report.changes) {
    v1::ConfigChange& out = *proto.add_changes();
    out.set_worker(change.worker);
    out.set_action(std::string(Name(change.action)));
    AddTexts(change.fields, *out.mutable_fields());
    out.set_error(ToUtf8(change.error));
  }
  AddTexts(report.warnings, *proto.mutable_warnings());
  return proto;
}

v1::UpgradeResponse ToProto(const agent::UpgradeReport& report) {
  v1::UpgradeResponse proto;
  proto.set_keeper_version(ToUtf8(report.keeper_version));
  proto.set_keeper_pid(report.keeper_pid);
  proto.set_processes_kept(report.processes_kept);
  proto.set_descriptors_kept(report.descriptors_kept);
  return proto;
}

absl::StatusOr<config::WorkerFields> FromProto(const v1::WorkerConfig& config) {
  if (!config.user().empty()) {
    return absl::InvalidArgumentError(
        "'user' is for output: a worker created here runs as its creator");
  }
  config::WorkerFields fields;
  fields.name = config.name();
  fields.exec = config.exec();
  fields.params.assign(config.params().begin(), config.params().end());
  fields.path = config.path();
  fields.env.assign(config.env().begin(), config.env().end());
  fields.servers.assign(config.servers().begin(), config.servers().end());
  if (config.instances() != 0) {
    fields.instances = absl::StrCat(config.instances());
  }
  fields.restart = config.restart();
  fields.stop_signal = config.stop_signal();
  if (config.stop_timeout_ms() != 0) {
    fields.stop_timeout = absl::StrCat(config.stop_timeout_ms(), "ms");
  }
  if (config.trust_proxy()) fields.trust_proxy = "true";
  if (config.access_log()) fields.access_log = "on";
  fields.trusted.assign(config.trusted().begin(), config.trusted().end());
  fields.socket_mode = config.socket_mode();
  return fields;
}

absl::Status CheckScale(const v1::ScaleWorkerRequest& request) {
  const std::string& name = request.name();
  if (const size_t slash = name.find('/'); slash != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "'%s' is one instance; it is its worker that has a number of them: "
        "apmctl scale %s %d",
        name, name.substr(0, slash), request.instances()));
  }
  if (request.instances() == 0) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "'%s' cannot have 0 instances; stop it instead: apmctl stop %s", name,
        name));
  }
  if (request.instances() > config::kMaxInstances) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "'%s' cannot have %d instances; the limit of a worker is %d", name,
        request.instances(), config::kMaxInstances));
  }
  return absl::OkStatus();
}

v1::LogLine ToProto(const logs::LogLine& line, const std::string& worker) {
  v1::LogLine proto;
  proto.set_time_unix_us(absl::ToUnixMicros(line.time));
  proto.set_stream(std::string(logs::Name(line.stream)));
  proto.set_instance(line.instance);
  proto.set_text(ToUtf8(line.text));
  proto.set_worker(worker);
  return proto;
}

v1::ReadLogResponse ToProto(const std::vector<logs::LogLine>& lines,
                            const agent::LogFile& file) {
  std::vector<v1::LogLine> protos(lines.size());
  size_t first = lines.size();
  for (size_t bytes = 0; first > 0; --first) {
    v1::LogLine& line = protos[first - 1];
    line = ToProto(lines[first - 1], file.worker);
    bytes += line.text().size() + file.worker.size() + kBytesBesidesText;
    if (bytes > kMaxAnswerBytes) break;
  }
  v1::ReadLogResponse proto;
  proto.set_file(ToUtf8(file.path));
  for (size_t i = first; i < lines.size(); ++i) {
    *proto.add_lines() = std::move(protos[i]);
  }
  return proto;
}

}  // namespace apm::control
