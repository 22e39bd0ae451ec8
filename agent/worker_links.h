// The pipes between the proxy and the processes of pipe-mode workers: gives
// them to the proxy of the moment, and to the next one when that has died.
//
// Three hold each pipe: the keeper, for the agent after us; we, for the next
// proxy; the proxy, which uses it. A worker sees the end of its stdin only
// when all three have gone.

#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <absl/time/time.h>

#include "agent/keeper_client.h"
#include "agent/link_board.h"
#include "agent/logs/log_store.h"
#include "agent/note_book.h"
#include "agent/proxy_client.h"
#include "agent/supervisor/instance_key.h"
#include "agent/supervisor/ports.h"
#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm::agent {

// Thread: the main loop's.
class WorkerLinks final : public supervisor::Traffic {
 public:
  struct Parts {
    EventLoop& loop;
    KeeperClient& keeper;
    ProxyClient& proxy;
    logs::LogStore& logs;
    NoteBook& notes;
    // In a later turn, for a link that is of no use any more.
    std::function<void(const supervisor::InstanceKey& key)> on_lost;
    // A proxy died within a frame of it.
    std::function<void(const supervisor::InstanceKey& key)> on_torn;
  };

  explicit WorkerLinks(Parts parts) : parts_(std::move(parts)) {}

  // Before anything else: the board of an earlier agent, or a new one; with
  // `nothing_known` of processes that run, all their links count as torn.
  void UseBoard(std::unique_ptr<LinkBoard> board, bool nothing_known);

  LinkRecordsFds records() const {
    return {board_->links_fd(), board_->links(), board_->sessions_fd(),
            board_->sessions()};
  }

  // The agent's ends of a new process's pipes; the keeper has copies.
  void Add(const supervisor::InstanceKey& key, uint32_t worker_id,
           UniqueFd stdin_pipe, UniqueFd stdout_pipe);
  // The same of one that an earlier agent started and gave to a proxy.
  void Adopt(const supervisor::InstanceKey& key, uint32_t worker_id,
             UniqueFd stdin_pipe, UniqueFd stdout_pipe, bool ready);
  // All that there are have been adopted.
  void EndAdoption();
  // The process is gone for good.
  void Forget(const supervisor::InstanceKey& key);

  void Attach(const supervisor::InstanceKey& key) override;
  void Ready(const supervisor::InstanceKey& key) override;
  void Drain(const supervisor::InstanceKey& key, supervisor::StopReason reason,
             absl::Duration deadline) override;
  void Detach(const supervisor::InstanceKey& key) override;

  // A proxy is there and knows the workers: it gets every link that is whole.
  // Links that the one before has torn go to `on_torn`. Returns how many.
  size_t TakeOver(uint64_t proxy_incarnation);

 private:
  struct Link {
    LinkKey numbers;
    UniqueFd stdin_pipe;
    UniqueFd stdout_pipe;
    bool wanted = false;  // Attach() was called.
    bool ready = false;
    bool unknown = false;  // Its record is lost.
    struct DrainOrder {
      supervisor::StopReason reason;
      absl::Duration end;  // Monotonic.
    };
    std::optional<DrainOrder> drain;
  };

  void AttachNow(const supervisor::InstanceKey& key, Link& link);
  bool IsTorn(const Link& link, uint64_t proxy_incarnation);
  Link* Find(const supervisor::InstanceKey& key);

  Parts parts_;
  std::unique_ptr<LinkBoard> board_;
  bool nothing_known_ = false;
  std::map<supervisor::InstanceKey, Link, KeyOrder> links_;
};

}  // namespace apm::agent
