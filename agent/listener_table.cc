#include "agent/listener_table.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

#include "agent/config/listen_address.h"
#include "agent/listeners/listener.h"
#include "base/log/log.h"

namespace apm::agent {
namespace {

constexpr std::string_view kStoredPrefix = "listener:";

// By what was configured, not by what was bound: an address with port 0 finds
// its socket again.
std::string StoredName(const WorkerRecord& record,
                       const config::ListenAddress& address) {
  return absl::StrCat("listener:", record.config.name, ":", address.text);
}

listeners::BindOptions OptionsFor(const WorkerRecord& record) {
  listeners::BindOptions options;
  options.socket_mode = record.config.socket_mode;
  if (record.run_as.change_user) {
    options.owner = {record.run_as.identity.uid, record.run_as.identity.gid};
  }
  return options;
}

}  // namespace

bool ListenerTable::IsStoredName(std::string_view name) {
  return name.starts_with(kStoredPrefix);
}

void ListenerTable::AddStored(std::string_view name, UniqueFd fd) {
  if (fd) stored_.insert_or_assign(std::string(name), std::move(fd));
}

void ListenerTable::DropUnclaimed() {
  for (const auto& [name, fd] : stored_) {
    keeper_.DropFd(name);
    proxy_.RemoveListener(StableId(name));
  }
  stored_.clear();
}

absl::Status ListenerTable::Open(WorkerRecord& record) {
  std::vector<OpenListener> opened;
  for (const config::ListenAddress& address : record.config.listeners) {
    const std::string name = StoredName(record, address);
    absl::StatusOr<listeners::BoundListener> bound =
        absl::NotFoundError("not stored");
    if (const auto stored = stored_.find(name); stored != stored_.end()) {
      bound = listeners::Adopt(std::move(stored->second), address,
                               OptionsFor(record));
      stored_.erase(stored);
      if (!bound.ok()) {
        log::Warning("worker '%s': take over '%s': %s; binding it anew",
                     record.config.name, address.text,
                     bound.status().ToString());
      }
    }
    if (!bound.ok()) bound = listeners::Bind(address, OptionsFor(record));
    if (!bound.ok()) {
      for (OpenListener& listener : opened) {
        keeper_.DropFd(StoredName(record, listener.bound.address));
        listeners::Close(std::move(listener.bound)).IgnoreError();
      }
      return bound.status();
    }
    keeper_.PutFd(name, bound->fd.get());
    opened.push_back(OpenListener{StableId(name), *std::move(bound)});
  }
  record.listeners = std::move(opened);
  return absl::OkStatus();
}

void ListenerTable::Close(WorkerRecord& record) {
  for (OpenListener& listener : record.listeners) {
    proxy_.RemoveListener(listener.id);
    keeper_.DropFd(StoredName(record, listener.bound.address));
    if (absl::Status closed = listeners::Close(std::move(listener.bound));
        !closed.ok()) {
      log::Warning("worker '%s': close a listener: %s", record.config.name,
                   closed.ToString());
    }
  }
  record.listeners.clear();
}

void ListenerTable::Announce(const WorkerRecord& record) {
  for (const OpenListener& listener : record.listeners) {
    const config::ListenAddress& address = listener.bound.address;
    ListenerSpec spec;
    spec.id = listener.id;
    spec.worker_id = record.id;
    spec.address = address.text;
    spec.http = address.http;
    spec.websocket = address.ws;
    spec.unix = address.kind == config::AddressKind::kUnixPath ||
                address.kind == config::AddressKind::kUnixAbstract;
    spec.fd = listener.bound.fd.get();
    proxy_.AddListener(spec);
  }
}

}  // namespace apm::agent
