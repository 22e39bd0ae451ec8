// All sessions of a shard, found by the id that a worker names.
//
//   id := incarnation "-" slot "-" random        all hexadecimal
//
// The incarnation is the keeper's number for this life of the proxy: frames
// that a worker sends to sessions of a dead proxy never match. The slot makes
// the look-up an index; the 64 random bits make a reused slot another session,
// and an id that one worker cannot guess of another's.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/upstream/session.h"

namespace apm::upstream {

// The id of a session of any proxy.
std::string FormatSessionId(uint64_t incarnation, uint32_t slot,
                            uint64_t random);

// Thread: the shard's.
class SessionTable {
 public:
  SessionTable();

  // For the ids given out from now on.
  void SetIncarnation(uint64_t incarnation);
  uint64_t incarnation() const { return incarnation_; }

  // A fresh session; reuses the memory of ended ones.
  Session& Open();

  // The session is over; its id matches nothing any more.
  void Free(Session& session);

  // The open session of that id, or nullptr.
  Session* Find(std::string_view id) const;

  size_t open() const { return slots_.size() - free_.size(); }

 private:
  uint64_t Random();

  uint64_t incarnation_ = 0;
  std::string prefix_;  // Incarnation and "-".
  std::vector<std::unique_ptr<Session>> slots_;
  std::vector<uint32_t> free_;
  std::array<uint64_t, 64> random_;  // From the kernel, a batch at a time.
  size_t random_left_ = 0;
};

}  // namespace apm::upstream
