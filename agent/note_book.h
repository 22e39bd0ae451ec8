// The notes of this agent to its successor, as they stand now: a copy here,
// the original with the keeper. A note is sent before what it is about is
// done; the channel keeps the order.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "agent/keeper_client.h"
#include "agent/kept_names.h"
#include "agent/process_note.h"
#include "agent/proxy_client.h"
#include "agent/supervisor/instance_key.h"

namespace apm::agent {

struct KeyOrder {
  bool operator()(const supervisor::InstanceKey& a,
                  const supervisor::InstanceKey& b) const {
    return std::tie(a.worker, a.instance, a.generation) <
           std::tie(b.worker, b.instance, b.generation);
  }
};

// Thread: the main loop's.
class NoteBook {
 public:
  // `keeper` outlives the book.
  explicit NoteBook(KeeperClient& keeper) : keeper_(keeper) {}

  // What the keeper has already.
  void Adopt(const supervisor::InstanceKey& key, ProcessNote note);

  // The first memo of a process is sent with its launch.
  void SetMemo(const supervisor::InstanceKey& key, std::string memo);
  void SetLaunch(const supervisor::InstanceKey& key, uint64_t definition);
  void SetTraits(const supervisor::InstanceKey& key, WorkerTraits traits);

  // Null for a process that is not known.
  const ProcessNote* Find(const supervisor::InstanceKey& key) const;

  void Drop(const supervisor::InstanceKey& key);

  void SetInstanceMemo(const InstancePlace& place, const std::string& memo);
  void DropInstanceMemo(const InstancePlace& place);

 private:
  struct Entry {
    ProcessNote note;
    bool sent = false;
  };

  void Send(const supervisor::InstanceKey& key, Entry& entry);

  KeeperClient& keeper_;
  std::map<supervisor::InstanceKey, Entry, KeyOrder> processes_;
};

}  // namespace apm::agent
