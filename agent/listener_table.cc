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

// By what was configured, not by what was bound: an address with port 0 finds
// its socket again.
std::string StoredName(const WorkerRecord& record,
                       const config::ListenAddress& address) {
  return absl::StrCat("listener:", record.config().name, ":", address.text);
}

listeners::BindOptions OptionsFor(const WorkerRecord& record) {
  listeners::BindOptions options;
  options.socket_mode = record.config().socket_mode;
  if (record.run_as.change_user) {
    options.owner = {record.run_as.identity.uid, record.run_as.identity.gid};
  }
  return options;
}

// The proxy knows listeners by these numbers alone: a second one of the same
// number, which a user could search for, would take the place of the first.
absl::Status NumberClash(const config::ListenAddress& address) {
  return absl::AlreadyExistsError(
      absl::StrCat("the internal number of '", address.text,
                   "' is taken; give the worker another name"));
}

}  // namespace

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
  for (const config::ListenAddress& address : record.config().listeners) {
    const std::string name = StoredName(record, address);
    const uint32_t id = StableId(name);
    absl::StatusOr<listeners::BoundListener> bound =
        ids_.contains(id) ? NumberClash(address)
                          : TakeOrBind(record, address, name);
    if (!bound.ok()) {
      record.listeners = std::move(opened);
      Close(record);
      return bound.status();
    }
    keeper_.PutFd(name, bound->fd.get());
    ids_.insert(id);
    opened.push_back(OpenListener{id, *std::move(bound)});
  }
  record.listeners = std::move(opened);
  return absl::OkStatus();
}

absl::StatusOr<listeners::BoundListener> ListenerTable::TakeOrBind(
    const WorkerRecord& record, const config::ListenAddress& address,
    const std::string& name) {
  const auto stored = stored_.find(name);
  if (stored != stored_.end()) {
    absl::StatusOr<listeners::BoundListener> taken = listeners::Adopt(
        std::move(stored->second), address, OptionsFor(record));
    stored_.erase(stored);
    if (taken.ok()) return taken;
    log::Warning("worker '%s': take over '%s': %s; binding it anew",
                 record.config().name, address.text, taken.status().ToString());
    // Copies of it would hold the address against us.
    keeper_.DropFd(name);
    proxy_.RemoveListener(StableId(name));
  }
  return listeners::Bind(address, OptionsFor(record));
}

void ListenerTable::Close(WorkerRecord& record) {
  for (OpenListener& listener : record.listeners) {
    proxy_.RemoveListener(listener.id);
    ids_.erase(listener.id);
    keeper_.DropFd(StoredName(record, listener.bound.address));
    if (absl::Status closed = listeners::Close(std::move(listener.bound));
        !closed.ok()) {
      log::Warning("worker '%s': close a listener: %s", record.config().name,
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
