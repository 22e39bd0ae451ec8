// What a proxy leaves behind for the next one, in memory that the agent makes,
// the keeper keeps, and the proxy writes:
//
//   links     := RecordsHeader  LinkRecord[count]
//   sessions  := RecordsHeader  SessionRecord[count]
//
// A link record says who has a worker's pipes and whether they were left
// between frames. A session record stands for one session that a worker knows
// of and has not closed: when its proxy dies, the next one tells the worker
// that it is over. Both memfds are sealed against resizing, and untrusted
// input to whoever reads them.
//
// What makes the sessions exact: their records change only while the link is
// marked busy. A session is put down in the write that announces it, taken out
// in the write of its connectionClosed or the read of its closeConnection. A
// proxy that dies in between leaves a torn link, whose worker is replaced;
// dying at any other moment leaves records that agree with what the worker
// has been told.

#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ipc/link_marks.h"

namespace apm::proxy {

inline constexpr uint64_t kLinkRecordsMagic = 0x41504d4c494e4b31;  // APMLINK1
inline constexpr uint64_t kSessionRecordsMagic =
    0x41504d5345535331;  // APMSESS1
inline constexpr uint32_t kMaxLinkRecords = 16'384;
inline constexpr uint32_t kMaxSessionRecords = 1 << 20;

struct alignas(64) RecordsHeader {
  std::atomic<uint64_t> magic;  // Written last.
  std::atomic<uint64_t> record_bytes;
  std::atomic<uint64_t> count;
};

// The agent gives a record to each worker process with pipes, by its key; the
// rest is the proxy's.
struct alignas(64) LinkRecord {
  std::atomic<uint64_t> owner;  // The proxy's incarnation; 0: none has had it.
  ipc::LinkMarks marks;
  std::atomic<uint32_t> worker_id;  // 0: the record is free.
  std::atomic<uint32_t> instance;
  std::atomic<uint64_t> generation;
};

struct SessionRecord {
  std::atomic<uint64_t> incarnation;  // The proxy's; 0: the record is free.
  std::atomic<uint64_t> random;       // With slot, the rest of the id.
  std::atomic<uint32_t> slot;
  std::atomic<uint32_t> link;  // Number of the link record.
};

template <typename Record>
constexpr size_t RecordsBytes(uint32_t count) {
  return sizeof(RecordsHeader) + count * sizeof(Record);
}

}  // namespace apm::proxy
