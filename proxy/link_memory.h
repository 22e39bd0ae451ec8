// The records of link_records.h as a proxy uses them: its own, and those of
// the sessions that died with proxies before it.

#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include <absl/status/status.h>

#include "base/os/shared_memory.h"
#include "base/os/unique_fd.h"
#include "proxy/link_records.h"

namespace apm::proxy {

// Records that were given out stay valid as long as the memory does.
// Thread: the shard's.
class LinkMemory {
 public:
  // Works in the agent's memory from here on: every session found there is a
  // dead proxy's. The same memory again (from a new agent) changes nothing.
  // kInvalidArgument if it is not what it should be, kFailedPrecondition if
  // there is other memory already; then all stays.
  absl::Status Use(UniqueFd links, uint32_t link_count, UniqueFd sessions,
                   uint32_t session_count);

  // Null where there is none: a link without a record works, and its worker
  // is replaced when this proxy dies.
  LinkRecord* link(uint32_t number);

  // A free record, still marked as free: it counts once `incarnation` is set.
  // Null when all are taken; such a session is forgotten if this proxy dies.
  SessionRecord* TakeSession();
  void ReturnSession(SessionRecord& record);

  // The sessions of dead proxies on that link. Each is given out once, and its
  // record is to be returned.
  std::vector<SessionRecord*> TakeDead(uint32_t link);

  // The links of those that are left are gone.
  void ForgetDead();

 private:
  void NoteDead();

  SharedMemory links_memory_;
  SharedMemory sessions_memory_;
  std::span<LinkRecord> links_;
  std::span<SessionRecord> sessions_;
  // Free: what was returned, and every empty record from here to the end.
  std::vector<SessionRecord*> returned_;
  SessionRecord* untouched_ = nullptr;
  std::unordered_map<uint32_t, std::vector<SessionRecord*>> dead_;  // By link.
};

}  // namespace apm::proxy
