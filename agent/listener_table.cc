#include "agent/listener_table.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
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
#include "base/status/status_macros.h"

namespace apm::agent {
namespace {

bool HasPlace(const config::ListenAddress& address) {
  const bool tcp = address.kind == config::AddressKind::kTcp4 ||
                   address.kind == config::AddressKind::kTcp6;
  return !tcp || address.port != 0;
}

// By the place: a socket that serves other protocols from now on is the same
// one. Where the kernel picks the port, by what was configured: of two such
// addresses each finds its own socket again.
std::string StoredName(const WorkerRecord& record,
                       const config::ListenAddress& address) {
  return absl::StrCat(
      "listener:", record.name(), ":",
      HasPlace(address) ? config::FormatAddress(address) : address.text);
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

bool HasListener(const WorkerRecord& record, uint32_t id) {
  return std::ranges::count(record.listeners, id, &OpenListener::id) > 0;
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
  APM_ASSIGN_OR_RETURN(Prepared prepared, Prepare(record, nullptr));
  Commit(record, std::move(prepared));
  return absl::OkStatus();
}

absl::StatusOr<ListenerTable::Prepared> ListenerTable::Prepare(
    const WorkerRecord& wanted, const WorkerRecord* current) {
  Prepared prepared;
  for (const config::ListenAddress& address : wanted.config().listeners) {
    const std::string name = StoredName(wanted, address);
    const uint32_t id = StableId(name);
    if (current != nullptr && HasListener(*current, id)) {
      prepared.push_back({name, std::nullopt});
      continue;
    }
    absl::StatusOr<listeners::BoundListener> bound =
        ids_.contains(id) ||
                std::ranges::count(prepared, name, &Place::name) > 0
            ? NumberClash(address)
            : TakeOrBind(wanted, address, name);
    if (!bound.ok()) {
      Discard(std::move(prepared));
      return bound.status();
    }
    prepared.push_back({name, *std::move(bound)});
  }
  return prepared;
}

void ListenerTable::Commit(WorkerRecord& record, Prepared prepared) {
  std::vector<OpenListener> before = std::exchange(record.listeners, {});
  for (size_t i = 0; i < prepared.size(); ++i) {
    Place& place = prepared[i];
    const uint32_t id = StableId(place.name);
    if (place.socket) {
      keeper_.PutFd(place.name, place.socket->fd.get());
      ids_.insert(id);
      record.listeners.push_back(
          {id, std::move(place.name), *std::move(place.socket)});
      continue;
    }
    const auto kept = std::ranges::find(before, id, &OpenListener::id);
    config::ListenAddress& address = kept->bound.address;
    const config::ListenAddress& wanted = record.config().listeners[i];
    address.http = wanted.http;
    address.ws = wanted.ws;
    if (wanted.port != 0) address.text = wanted.text;
    record.listeners.push_back(std::move(*kept));
    before.erase(kept);
  }
  for (OpenListener& listener : before) {
    CloseOne(record, std::move(listener));
  }
}

absl::Status ListenerTable::SetSocketModes(const WorkerRecord& record) {
  absl::Status all;
  for (const OpenListener& listener : record.listeners) {
    if (!listener.bound.file) continue;
    all.Update(listeners::SetSocketFileMode(*listener.bound.file,
                                            record.config().socket_mode));
  }
  return all;
}

void ListenerTable::Discard(Prepared prepared) {
  for (Place& place : prepared) {
    if (!place.socket) continue;
    keeper_.DropFd(place.name);  // It may have been the keeper's.
    proxy_.RemoveListener(StableId(place.name));
    listeners::Close(*std::move(place.socket)).IgnoreError();
  }
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
  for (OpenListener& listener : std::exchange(record.listeners, {})) {
    CloseOne(record, std::move(listener));
  }
}

void ListenerTable::CloseOne(const WorkerRecord& record,
                             OpenListener listener) {
  proxy_.RemoveListener(listener.id);
  ids_.erase(listener.id);
  keeper_.DropFd(listener.name);
  if (absl::Status closed = listeners::Close(std::move(listener.bound));
      !closed.ok()) {
    log::Warning("worker '%s': close a listener: %s", record.name(),
                 closed.ToString());
  }
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
