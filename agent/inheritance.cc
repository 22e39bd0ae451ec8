#include "agent/inheritance.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

namespace apm::agent {
namespace {

auto Order(const InstanceKey& key) {
  return std::tie(key.worker, key.instance, key.generation);
}

}  // namespace

Inheritance::Inheritance(const Welcome& welcome) {
  for (const RunningProcess& process : welcome.running) {
    processes_.push_back({process, std::nullopt, {}});
  }
  std::sort(processes_.begin(), processes_.end(),
            [](const InheritedProcess& a, const InheritedProcess& b) {
              return Order(a.process.key) < Order(b.process.key);
            });
  for (const std::string& name : welcome.stored_fds) {
    const auto pipe = ParsePipeName(name);
    if (pipe && Find(pipe->second) == nullptr) {
      stale_fds_.push_back(name);
    } else {
      wanted_.insert(name);
    }
  }
  for (const auto& [name, value] : welcome.states) {
    if (const auto key = ParseProcessNoteName(name)) {
      InheritedProcess* process = Find(*key);
      if (process == nullptr) {
        stale_notes_.push_back(name);
      } else {
        process->note = DecodeProcessNote(value);
      }
    } else if (auto place = ParseInstanceNoteName(name)) {
      instance_memos_.emplace(*std::move(place), value);
    } else if (name == kDaemonNoteName) {
      daemon_note_ = value;
    } else {
      stale_notes_.push_back(name);
    }
  }
}

InheritedProcess* Inheritance::Find(const InstanceKey& key) {
  const auto found = std::lower_bound(
      processes_.begin(), processes_.end(), key,
      [](const InheritedProcess& inherited, const InstanceKey& wanted) {
        return Order(inherited.process.key) < Order(wanted);
      });
  const bool is_it = found != processes_.end() && found->process.key == key;
  return is_it ? &*found : nullptr;
}

void Inheritance::Add(std::string_view name, UniqueFd fd) {
  const auto wanted = wanted_.find(name);
  if (wanted == wanted_.end()) return;
  wanted_.erase(wanted);
  if (!fd) return;
  const auto pipe = ParsePipeName(name);
  if (!pipe) {
    others_.insert_or_assign(std::string(name), std::move(fd));
  } else if (InheritedProcess* process = Find(pipe->second)) {
    process->pipes.insert_or_assign(pipe->first, std::move(fd));
  }
}

UniqueFd Inheritance::Take(std::string_view name) {
  const auto found = others_.find(name);
  if (found == others_.end()) return UniqueFd();
  UniqueFd fd = std::move(found->second);
  others_.erase(found);
  return fd;
}

std::map<std::string, UniqueFd, std::less<>> Inheritance::TakeAll(
    std::string_view prefix) {
  std::map<std::string, UniqueFd, std::less<>> taken;
  for (auto it = others_.lower_bound(prefix);
       it != others_.end() &&
       std::string_view(it->first).starts_with(prefix);) {
    taken.insert(others_.extract(it++));
  }
  return taken;
}

}  // namespace apm::agent
