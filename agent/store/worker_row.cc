#include "agent/store/worker_row.h"

#include <cstdint>
#include <exception>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include "agent/config/names.h"
#include "agent/store/definition_json.h"
#include "base/status/status_macros.h"

#include <nlohmann/json.hpp>

namespace apm::store {
namespace {

using nlohmann::json;

std::string_view SourceName(Source source) {
  switch (source) {
    case Source::kConfig:
      return "config";
    case Source::kApi:
      return "api";
  }
  return "";
}

// A user's name that is not UTF-8 is for people only: it may lose a letter.
std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<std::string> EncodeOwner(const std::optional<Owner>& owner) {
  if (!owner) return std::nullopt;
  const auto& [uid, gid, user] = *owner;
  return Dump({{"uid", uid}, {"gid", gid}, {"user", user}});
}

Owner ToOwner(const json& object) {
  Owner owner;
  object.at("uid").get_to(owner.uid);
  object.at("gid").get_to(owner.gid);
  owner.user = object.value("user", "");
  return owner;
}

// What has its default is left out: "{}" is a worker as it was defined.
void ReadOverlays(const json& object, DesiredWorker& worker) {
  worker.stopped = object.value("stopped", false);
  worker.stopped_instances =
      object.value("stopped_instances", std::set<uint32_t>());
  if (object.contains("instances")) {
    worker.instances = object.at("instances").get<uint32_t>();
  }
  worker.deleting = object.value("deleting", false);
}

// Runs `read` on the JSON in a column; nlohmann's exceptions end here.
template <typename Read>
absl::Status ReadJson(const char* column, const std::string& text, Read read) {
  try {
    read(json::parse(text));
    return absl::OkStatus();
  } catch (const std::exception& error) {
    return absl::DataLossError(absl::StrCat(column, ": ", error.what()));
  }
}

}  // namespace

WorkerRow EncodeRow(const DesiredWorker& worker) {
  // A field that is added to DesiredWorker stops this from compiling. Write it
  // here, and read it in DecodeRow.
  const auto& [name, source, definition, owner, instance_ids, stopped,
               stopped_instances, instances, deleting, changed] = worker;
  json overlays = json::object();
  if (stopped) overlays["stopped"] = true;
  if (!stopped_instances.empty()) {
    overlays["stopped_instances"] = stopped_instances;
  }
  if (instances) overlays["instances"] = *instances;
  if (deleting) overlays["deleting"] = true;
  return {.name = name,
          .source = std::string(SourceName(source)),
          .definition = EncodeDefinition(definition),
          .owner = EncodeOwner(owner),
          .instance_ids = Dump(instance_ids),
          .overlays = Dump(overlays),
          .changed_unix_ms = absl::ToUnixMillis(changed)};
}

absl::StatusOr<DesiredWorker> DecodeRow(const WorkerRow& row) {
  DesiredWorker worker;
  worker.name = row.name;
  // The name becomes a part of paths.
  if (!config::IsWorkerName(row.name)) {
    return absl::DataLossError("name: it is no worker's name");
  }
  if (row.source == SourceName(Source::kApi)) {
    worker.source = Source::kApi;
  } else if (row.source != SourceName(Source::kConfig)) {
    return absl::DataLossError(
        absl::StrFormat("source: '%s' is neither config nor api", row.source));
  }
  APM_ASSIGN_OR_RETURN(worker.definition, DecodeDefinition(row.definition));
  worker.definition.name = row.name;
  if (row.owner) {
    APM_RETURN_IF_ERROR(ReadJson("owner", *row.owner, [&](const json& value) {
      worker.owner = ToOwner(value);
    }));
  }
  APM_RETURN_IF_ERROR(
      ReadJson("instance_ids", row.instance_ids,
               [&](const json& value) { value.get_to(worker.instance_ids); }));
  APM_RETURN_IF_ERROR(
      ReadJson("overlays", row.overlays,
               [&](const json& value) { ReadOverlays(value, worker); }));
  worker.changed = absl::FromUnixMillis(row.changed_unix_ms);
  return worker;
}

}  // namespace apm::store
