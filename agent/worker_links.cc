#include "agent/worker_links.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "agent/kept_names.h"
#include "agent/pipe.h"
#include "base/log/log.h"

namespace apm::agent {

using supervisor::InstanceKey;
using supervisor::StopReason;

void WorkerLinks::UseBoard(std::unique_ptr<LinkBoard> board,
                           bool nothing_known) {
  board_ = std::move(board);
  nothing_known_ = nothing_known;
}

void WorkerLinks::Add(const InstanceKey& key, uint32_t worker_id,
                      UniqueFd stdin_pipe, UniqueFd stdout_pipe) {
  Link& link = links_[key];
  link.numbers = {worker_id, key.instance, key.generation};
  link.stdin_pipe = std::move(stdin_pipe);
  link.stdout_pipe = std::move(stdout_pipe);
}

void WorkerLinks::Adopt(const InstanceKey& key, uint32_t worker_id,
                        UniqueFd stdin_pipe, UniqueFd stdout_pipe, bool ready) {
  Add(key, worker_id, std::move(stdin_pipe), std::move(stdout_pipe));
  Link& link = links_[key];
  link.wanted = true;
  link.ready = ready;
  link.unknown = nothing_known_ || !link.stdin_pipe || !link.stdout_pipe;
}

void WorkerLinks::EndAdoption() {
  std::vector<LinkKey> adopted;
  for (const auto& [key, link] : links_) adopted.push_back(link.numbers);
  board_->ReturnAllBut(adopted);
}

void WorkerLinks::Forget(const InstanceKey& key) {
  const auto link = links_.find(key);
  if (link == links_.end()) return;
  board_->Return(link->second.numbers);
  links_.erase(link);
}

WorkerLinks::Link* WorkerLinks::Find(const InstanceKey& key) {
  const auto link = links_.find(key);
  return link == links_.end() ? nullptr : &link->second;
}

void WorkerLinks::Attach(const InstanceKey& key) {
  Link* link = Find(key);
  if (link == nullptr) return;
  link->wanted = true;
  if (parts_.proxy.connected()) AttachNow(key, *link);
}

void WorkerLinks::AttachNow(const InstanceKey& key, Link& link) {
  const absl::StatusOr<uint32_t> record = board_->Take(link.numbers);
  absl::StatusOr<Pipe> stray = CreatePipe();
  if (!record.ok() || !stray.ok()) {
    log::Error("worker '%s/%d': attach its pipes: %s", key.worker, key.instance,
               (record.ok() ? stray.status() : record.status()).message());
    parts_.loop.Post([this, key] { parts_.on_lost(key); });
    return;
  }
  parts_.keeper.PutFd(PipeName(PipeEnd::kStray, key), stray->read_end.get());
  parts_.logs.AddStream(key.worker, key.instance, logs::Stream::kOut,
                        std::move(stray->read_end));
  const ProcessNote* note = parts_.notes.Find(key);
  parts_.proxy.Attach(
      link.numbers,
      {link.stdin_pipe.get(), link.stdout_pipe.get(), stray->write_end.get()},
      *record, note == nullptr ? std::nullopt : note->traits);
  if (link.ready) parts_.proxy.Ready(link.numbers);
  if (link.drain) {
    const absl::Duration left = link.drain->end - parts_.loop.Now();
    parts_.proxy.Drain(link.numbers, link.drain->reason == StopReason::kForGood,
                       std::max(left, absl::ZeroDuration()));
  }
}

void WorkerLinks::Ready(const InstanceKey& key) {
  Link* link = Find(key);
  if (link == nullptr) return;
  link->ready = true;
  parts_.proxy.Ready(link->numbers);
}

void WorkerLinks::Drain(const InstanceKey& key, StopReason reason,
                        absl::Duration deadline) {
  Link* link = Find(key);
  if (link == nullptr) return;
  link->drain = Link::DrainOrder{reason, parts_.loop.Now() + deadline};
  parts_.proxy.Drain(link->numbers, reason == StopReason::kForGood, deadline);
}

void WorkerLinks::Detach(const InstanceKey& key) {
  Link* link = Find(key);
  if (link == nullptr) return;
  link->wanted = false;
  parts_.proxy.Detach(link->numbers);
}

bool WorkerLinks::IsTorn(const Link& link, uint64_t proxy_incarnation) {
  if (link.unknown) return true;
  const absl::StatusOr<uint32_t> record = board_->Take(link.numbers);
  return record.ok() &&
         board_->Judge(*record, proxy_incarnation) == LinkState::kTorn;
}

size_t WorkerLinks::TakeOver(uint64_t proxy_incarnation) {
  std::vector<InstanceKey> torn;
  for (auto& [key, link] : links_) {
    if (!link.wanted) continue;
    if (IsTorn(link, proxy_incarnation)) {
      link.wanted = false;
      torn.push_back(key);
    } else {
      AttachNow(key, link);
    }
  }
  parts_.proxy.TakeOverDone();
  for (const InstanceKey& key : torn) parts_.on_torn(key);
  return torn.size();
}

}  // namespace apm::agent
