#include "agent/store/definition_json.h"

#include <string.h>

#include <charconv>
#include <cstddef>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include "agent/config/listen_address.h"
#include "agent/config/quantity.h"
#include "base/text/utf8.h"

#include <nlohmann/json.hpp>

namespace apm::store {
namespace {

using config::ListenAddress;
using config::RestartPolicy;
using config::WorkerConfig;
using nlohmann::json;

// nlohmann reports what it does not like by exceptions. They, and this one of
// ours, do not leave this file.
struct Unreadable : std::runtime_error {
  using std::runtime_error::runtime_error;
};

bool IsUtf8(std::string_view text) {
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at != end;) {
    const Utf8Sequence sequence = ReadUtf8(at, end);
    if (!sequence.valid) return false;
    at += sequence.bytes;
  }
  return true;
}

// JSON is UTF-8, the name of a folder any bytes: {"hex":"2f73727680"} then.
json FromString(const std::string& text) {
  if (IsUtf8(text)) return text;
  return {{"hex", absl::BytesToHexString(text)}};
}

std::string ToString(const json& value) {
  if (!value.is_object()) return value.get<std::string>();
  return absl::HexStringToBytes(value.at("hex").get<std::string>());
}

json FromStrings(const std::vector<std::string>& texts) {
  json array = json::array();
  for (const std::string& text : texts) array.push_back(FromString(text));
  return array;
}

std::vector<std::string> ToStrings(const json& array) {
  std::vector<std::string> texts;
  for (const json& value : array) texts.push_back(ToString(value));
  return texts;
}

json FromEnvironment(const std::map<std::string, std::string>& env) {
  json object = json::object();
  for (const auto& [name, value] : env) object[name] = FromString(value);
  return object;
}

std::map<std::string, std::string> ToEnvironment(const json& object) {
  std::map<std::string, std::string> env;
  for (const auto& [name, value] : object.items()) env[name] = ToString(value);
  return env;
}

// The text as it was written, and one URL for each protocol: without the
// folder that a relative path was below, the text alone says less.
json FromListener(const ListenAddress& listener) {
  std::vector<std::string> urls = config::FormatUrls(listener);
  return {{"text", FromString(listener.text)}, {"urls", FromStrings(urls)}};
}

ListenAddress ToListener(const json& object) {
  std::optional<ListenAddress> listener;
  for (const std::string& url : ToStrings(object.at("urls"))) {
    absl::StatusOr<ListenAddress> address =
        config::ParseListenAddress(url, config::AddressForm::kCommandLine, "/");
    if (!address.ok())
      throw Unreadable(std::string(address.status().message()));
    if (!listener) listener = *address;
    listener->http |= address->http;
    listener->ws |= address->ws;
  }
  if (!listener) throw Unreadable("an address has no URL");
  listener->text = ToString(object.at("text"));
  return *std::move(listener);
}

json FromListeners(const std::vector<ListenAddress>& listeners) {
  json array = json::array();
  for (const ListenAddress& listener : listeners) {
    array.push_back(FromListener(listener));
  }
  return array;
}

std::vector<ListenAddress> ToListeners(const json& array) {
  std::vector<ListenAddress> listeners;
  for (const json& object : array) listeners.push_back(ToListener(object));
  return listeners;
}

RestartPolicy ToRestartPolicy(const json& value) {
  const auto text = value.get<std::string>();
  for (const RestartPolicy policy :
       {RestartPolicy::kAlways, RestartPolicy::kOnFailure,
        RestartPolicy::kNever}) {
    if (config::RestartPolicyName(policy) == text) return policy;
  }
  throw Unreadable(absl::StrFormat("'%s' is no restart policy", text));
}

// "TERM"; the number of a signal without such a name (real-time ones).
json FromSignal(int signal) {
  const char* const name = sigabbrev_np(signal);
  if (name == nullptr || config::ParseSignal(name) != signal) return signal;
  return name;
}

int ToSignal(const json& value) {
  if (value.is_number_integer()) return value.get<int>();
  const auto text = value.get<std::string>();
  if (const std::optional<int> signal = config::ParseSignal(text)) {
    return *signal;
  }
  throw Unreadable(absl::StrFormat("'%s' is no signal", text));
}

absl::Duration ToDuration(const json& value) {
  const auto text = value.get<std::string>();
  absl::Duration duration;
  if (absl::ParseDuration(text, &duration)) return duration;
  throw Unreadable(absl::StrFormat("'%s' is no duration", text));
}

mode_t ToMode(const json& value) {
  const auto text = value.get<std::string>();
  mode_t mode = 0;
  const char* const end = text.data() + text.size();
  if (std::from_chars(text.data(), end, mode, 8).ptr == end) return mode;
  throw Unreadable(absl::StrFormat("'%s' is no file mode", text));
}

json FromLog(const config::LogConfig& log) {
  const auto& [as_json, max_bytes, max_age, keep, max_lines, lines_per] = log;
  return {{"format", as_json ? "json" : "text"},
          {"rotate_size", max_bytes},
          {"rotate_age", absl::FormatDuration(max_age)},
          {"rotate_keep", keep},
          {"rate_lines", max_lines},
          {"rate_per", absl::FormatDuration(lines_per)}};
}

config::LogConfig ToLog(const json& object) {
  config::LogConfig log;
  log.json = object.value("format", "text") == "json";
  log.max_bytes = object.value("rotate_size", log.max_bytes);
  log.keep = object.value("rotate_keep", log.keep);
  log.max_lines = object.value("rate_lines", log.max_lines);
  if (object.contains("rotate_age")) {
    log.max_age = ToDuration(object.at("rotate_age"));
  }
  if (object.contains("rate_per")) {
    log.lines_per = ToDuration(object.at("rate_per"));
  }
  return log;
}

WorkerConfig::Source ToSource(const json& object) {
  WorkerConfig::Source source;
  source.file = ToString(object.at("file"));
  object.at("line").get_to(source.line);
  return source;
}

template <typename T>
T To(const json& value) {
  return value.get<T>();
}

WorkerConfig ToDefinition(const json& object) {
  WorkerConfig definition;
  // A missing key leaves the default; a bad value is named with its key.
  const auto read = [&object](const char* key, auto& field, auto to_field) {
    const auto value = object.find(key);
    if (value == object.end()) return;
    try {
      field = to_field(*value);
    } catch (const std::exception& error) {
      throw Unreadable(absl::StrFormat("'%s': %s", key, error.what()));
    }
  };
  auto& [name, exec, params, path, env, listeners, instances, restart,
         stop_signal, stop_timeout, trust_proxy, trusted, socket_mode,
         access_log, log, user, group, source] = definition;
  read("name", name, ToString);
  read("exec", exec, ToString);
  read("params", params, ToStrings);
  read("path", path, ToString);
  read("env", env, ToEnvironment);
  read("server", listeners, ToListeners);
  read("instances", instances, To<int>);
  read("restart", restart, ToRestartPolicy);
  read("stop_signal", stop_signal, ToSignal);
  read("stop_timeout", stop_timeout, ToDuration);
  read("trust_proxy", trust_proxy, To<bool>);
  read("trusted", trusted, ToStrings);
  read("socket_mode", socket_mode, ToMode);
  read("access_log", access_log, To<bool>);
  read("log", log, ToLog);
  read("user", user, ToString);
  read("group", group, ToString);
  read("source", source, ToSource);
  return definition;
}

}  // namespace

std::string EncodeDefinition(const WorkerConfig& definition) {
  // A field that is added to WorkerConfig stops this, and ToDefinition, from
  // compiling: nothing can be forgotten.
  const auto& [name, exec, params, path, env, listeners, instances, restart,
               stop_signal, stop_timeout, trust_proxy, trusted, socket_mode,
               access_log, log, user, group, source] = definition;
  const json object = {
      {"name", FromString(name)},
      {"exec", FromString(exec)},
      {"params", FromStrings(params)},
      {"path", FromString(path)},
      {"env", FromEnvironment(env)},
      {"server", FromListeners(listeners)},
      {"instances", instances},
      {"restart", config::RestartPolicyName(restart)},
      {"stop_signal", FromSignal(stop_signal)},
      {"stop_timeout", absl::FormatDuration(stop_timeout)},
      {"trust_proxy", trust_proxy},
      {"trusted", FromStrings(trusted)},
      {"socket_mode", absl::StrFormat("%04o", socket_mode)},
      {"access_log", access_log},
      {"log", FromLog(log)},
      {"user", FromString(user)},
      {"group", FromString(group)},
      {"source", {{"file", FromString(source.file)}, {"line", source.line}}},
  };
  return object.dump();
}

absl::StatusOr<WorkerConfig> DecodeDefinition(std::string_view text) {
  try {
    const json object = json::parse(text);
    if (!object.is_object()) throw Unreadable("it is no JSON object");
    return ToDefinition(object);
  } catch (const std::exception& error) {
    return absl::DataLossError(absl::StrCat("definition: ", error.what()));
  }
}

}  // namespace apm::store
