// The agent's side of the link records (proxy/link_records.h): makes the
// memory, gives a record to each process with pipes, and judges, when a proxy
// has died, which links the next one may have.
//
//   record = board.Take(link)             before Attach; again: the same one
//   board.Judge(record, incarnation)      of the proxy that runs now
//     kUnowned, kClean  -> Attach         kTorn -> replace the worker
//     kLive             -> Attach (only the stray pipe changes)
//   board.Return(link)                    after Detach, when it has exited
//
// The memory outlives the agent: its descriptors are in the keeper's store. A
// link finds its record again by its key. What a proxy wrote there is
// untrusted: the worst it can do is to have a worker replaced that need not
// be, or its own links be taken for clean.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/link_key.h"
#include "base/os/shared_memory.h"
#include "base/os/unique_fd.h"
#include "proxy/link_records.h"

namespace apm::agent {

// Enough for every process the keeper may have, and for twice the sessions a
// proxy may have open: those of a dead one stay until they are dealt with.
inline constexpr uint32_t kLinkRecords = 4096;
inline constexpr uint32_t kSessionRecords = 65'536;

enum class LinkState : uint8_t {
  kUnowned,  // No proxy has had it since Take().
  kLive,     // The proxy that runs has it.
  kClean,    // A dead proxy had it, and left it between frames.
  kTorn,     // A dead proxy left it in the middle of a frame.
};

// Thread: the main loop's.
class LinkBoard {
 public:
  // New, empty memory.
  static absl::StatusOr<std::unique_ptr<LinkBoard>> Create(
      uint32_t links = kLinkRecords, uint32_t sessions = kSessionRecords);

  // What an agent before this one made. kInvalidArgument if it has another
  // layout or is damaged. Then nothing is known about links that a proxy has:
  // after Create(), treat those of running processes as torn.
  static absl::StatusOr<std::unique_ptr<LinkBoard>> Adopt(UniqueFd links,
                                                          UniqueFd sessions);

  LinkBoard(const LinkBoard&) = delete;
  LinkBoard& operator=(const LinkBoard&) = delete;

  // For the keeper's store and ProxyClient::SendLinkRecords().
  int links_fd() const { return links_memory_.fd(); }
  int sessions_fd() const { return sessions_memory_.fd(); }
  uint32_t links() const { return links_; }
  uint32_t sessions() const { return sessions_; }

  // The record of `link`: the one it has, else a free one that nobody owns.
  // kResourceExhausted when all are taken.
  absl::StatusOr<uint32_t> Take(const LinkKey& link);

  // The process has exited, and a proxy that had its pipes has been told to
  // detach it. Harmless if it has no record.
  void Return(const LinkKey& link);

  // Of records found at Adopt(), keeps those of `links`.
  void ReturnAllBut(std::span<const LinkKey> links);

  // REQUIRES: record < links().
  LinkState Judge(uint32_t record, uint64_t proxy_incarnation) const;

 private:
  LinkBoard(SharedMemory links_memory, SharedMemory sessions_memory,
            uint32_t links, uint32_t sessions);

  proxy::LinkRecord& At(uint32_t record) const;
  void Reset(uint32_t record);

  SharedMemory links_memory_;
  SharedMemory sessions_memory_;
  uint32_t links_;
  uint32_t sessions_;
  std::vector<LinkKey> keys_;  // By record; worker_id 0: free.
};

}  // namespace apm::agent
