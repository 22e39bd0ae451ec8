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

void WorkerLinks::Add(const InstanceKey& key, UniqueFd stdin_pipe,
                      UniqueFd stdout_pipe) {
  Link& link = links_[key];
  link.stdin_pipe = std::move(stdin_pipe);
  link.stdout_pipe = std::move(stdout_pipe);
}

void WorkerLinks::Adopt(const InstanceKey& key, UniqueFd stdin_pipe,
                        UniqueFd stdout_pipe, bool ready) {
  Add(key, std::move(stdin_pipe), std::move(stdout_pipe));
  Link& link = links_[key];
  link.wanted = true;
  link.ready = ready;
  link.unknown = nothing_known_ || !link.stdin_pipe || !link.stdout_pipe;
}

void WorkerLinks::EndAdoption() {
  std::vector<LinkKey> adopted;
  for (const auto& [key, link] : links_) {
    if (const std::optional<LinkKey> numbers = NumbersOf(key)) {
      adopted.push_back(*numbers);
    }
  }
  board_->ReturnAllBut(adopted);
}

void WorkerLinks::Forget(const InstanceKey& key) {
  if (links_.erase(key) == 0) return;
  if (const std::optional<LinkKey> numbers = NumbersOf(key)) {
    board_->Return(*numbers);
  }
}

std::optional<LinkKey> WorkerLinks::NumbersOf(const InstanceKey& key) const {
  const auto record = parts_.records.find(key.worker);
  if (record == parts_.records.end()) return std::nullopt;  // It is ending.
  return LinkKey{record->second.id, key.instance, key.generation};
}

void WorkerLinks::Attach(const InstanceKey& key) {
  const auto link = links_.find(key);
  if (link == links_.end()) return;
  link->second.wanted = true;
  if (parts_.proxy.connected()) AttachNow(key, link->second);
}

void WorkerLinks::AttachNow(const InstanceKey& key, Link& link) {
  const std::optional<LinkKey> numbers = NumbersOf(key);
  if (!numbers) return;
  const absl::StatusOr<uint32_t> record = board_->Take(*numbers);
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
      *numbers,
      {link.stdin_pipe.get(), link.stdout_pipe.get(), stray->write_end.get()},
      *record, note == nullptr ? std::nullopt : note->traits);
  if (link.ready) parts_.proxy.Ready(*numbers);
  if (link.drain) {
    const absl::Duration left = link.drain->end - parts_.loop.Now();
    parts_.proxy.Drain(*numbers, link.drain->reason == StopReason::kForGood,
                       std::max(left, absl::ZeroDuration()));
  }
}

bool WorkerLinks::IsTorn(const InstanceKey& key, const Link& link,
                         uint64_t proxy_incarnation) {
  if (link.unknown) return true;
  const std::optional<LinkKey> numbers = NumbersOf(key);
  if (!numbers) return false;
  const absl::StatusOr<uint32_t> record = board_->Take(*numbers);
  return record.ok() &&
         board_->Judge(*record, proxy_incarnation) == LinkState::kTorn;
}

void WorkerLinks::Ready(const InstanceKey& key) {
  const auto link = links_.find(key);
  const std::optional<LinkKey> numbers = NumbersOf(key);
  if (link == links_.end() || !numbers) return;
  link->second.ready = true;
  parts_.proxy.Ready(*numbers);
}

void WorkerLinks::Drain(const InstanceKey& key, StopReason reason,
                        absl::Duration deadline) {
  const auto link = links_.find(key);
  const std::optional<LinkKey> numbers = NumbersOf(key);
  if (link == links_.end() || !numbers) return;
  link->second.drain = Link::DrainOrder{reason, parts_.loop.Now() + deadline};
  parts_.proxy.Drain(*numbers, reason == StopReason::kForGood, deadline);
}

void WorkerLinks::Detach(const InstanceKey& key) {
  const auto link = links_.find(key);
  if (link != links_.end()) link->second.wanted = false;
  if (const std::optional<LinkKey> numbers = NumbersOf(key)) {
    parts_.proxy.Detach(*numbers);
  }
}

size_t WorkerLinks::TakeOver(uint64_t proxy_incarnation) {
  std::vector<InstanceKey> torn;
  for (auto& [key, link] : links_) {
    if (!link.wanted) continue;
    if (IsTorn(key, link, proxy_incarnation)) {
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
