// Has processes swept on a background thread, many at a time: a look at all
// processes of the host costs the same for one worker as for a hundred.

#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "agent/background.h"
#include "agent/note_book.h"
#include "agent/supervisor/instance_key.h"
#include "agent/supervisor/ports.h"
#include "base/os/event_loop.h"

namespace apm::agent {

// Thread: the main loop's.
class Sweeper {
 public:
  // In a later turn: nothing that carries the tag of `key` is left, but for
  // what a limit of the sweep left over, which is in the log.
  using Swept =
      std::function<void(const supervisor::InstanceKey& key,
                         const std::vector<supervisor::Survivor>& survivors)>;

  // Both outlive the sweeper.
  Sweeper(EventLoop& loop, Background& background, Swept swept)
      : loop_(loop), background_(background), swept_(std::move(swept)) {}

  // Before any Add().
  void SetDaemonId(std::string id) { daemon_id_ = std::move(id); }

  // `pid`: of the process, which has ended; 0 if it is not known.
  void Add(const supervisor::InstanceKey& key, pid_t pid);

 private:
  void Begin();

  EventLoop& loop_;
  Background& background_;
  const Swept swept_;
  std::string daemon_id_;
  std::map<supervisor::InstanceKey, pid_t, KeyOrder> waiting_;
  bool busy_ = false;
};

}  // namespace apm::agent
