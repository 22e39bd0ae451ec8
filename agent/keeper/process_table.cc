#include "agent/keeper/process_table.h"

#include <sys/types.h>

#include <functional>
#include <utility>

namespace apm::keeper {

ProcessKey ProcessKey::From(const internal::v1::ProcessKey& key) {
  return {key.worker(), key.instance(), key.generation()};
}

internal::v1::ProcessKey ProcessKey::ToProto() const {
  internal::v1::ProcessKey key;
  key.set_worker(worker);
  key.set_instance(instance);
  key.set_generation(generation);
  return key;
}

Process* ProcessTable::Find(const ProcessKey& key) {
  const auto found = processes_.find(key);
  return found == processes_.end() ? nullptr : &found->second;
}

const ProcessKey* ProcessTable::FindUnreaped(pid_t pid) const {
  const auto found = unreaped_.find(pid);
  return found == unreaped_.end() ? nullptr : &found->second;
}

void ProcessTable::Add(const ProcessKey& key, Process process) {
  unreaped_[process.pid] = key;
  processes_[key] = std::move(process);
}

void ProcessTable::SetRunning(const ProcessKey& key) {
  Process* process = Find(key);
  process->state = Process::State::kRunning;
  process->failure_pipe.Reset();
}

void ProcessTable::SetExited(const ProcessKey& key,
                             internal::v1::Exited exited) {
  Process* process = Find(key);
  unreaped_.erase(process->pid);
  process->state = Process::State::kExited;
  process->exited = std::move(exited);
}

void ProcessTable::Forget(const ProcessKey& key) {
  const auto found = processes_.find(key);
  if (found == processes_.end()) return;
  if (found->second.state != Process::State::kExited) {
    unreaped_.erase(found->second.pid);
  }
  processes_.erase(found);
}

void ProcessTable::ForEach(
    const std::function<void(const ProcessKey&, const Process&)>& visit) const {
  for (const auto& [key, process] : processes_) visit(key, process);
}

}  // namespace apm::keeper
