// What a test and the chaos variants write on together: a file, mapped by all
// of them. The test says where to die; the programs say where they have been.
//
// Memory and not messages or files, since the proxy may not open anything,
// apm-exec is somebody else half-way through, and a program that is about to
// be killed must not owe the test an answer. tests/chaos/faults.py has the
// same layout.

#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string_view>

namespace apm::fault {

inline constexpr char kFileVariable[] = "APM_FAULT_FILE";
inline constexpr char kMagic[8] = {'a', 'p', 'm', 'f', 'a', 'l', 't', '1'};
inline constexpr uint32_t kNameBytes = 60;  // With the final zero.
inline constexpr uint32_t kTraceCapacity = 4096;

enum class Trap : uint32_t {
  kNone = 0,
  kArmed = 1,  // Set last by the test, after name and countdown.
  kSprung = 2,
};

struct Board {
  struct Visit {
    int32_t pid;
    char name[kNameBytes];
  };

  char magic[8];
  std::atomic<Trap> trap;
  std::atomic<int32_t> countdown;  // 1: the next visit of `name` is the last.
  std::atomic<int32_t> victim;     // Who died of it.
  char name[kNameBytes];
  std::atomic<uint32_t> tracing;  // Not 0: visits are written down.
  std::atomic<uint32_t> visits;   // In all; those over the capacity are lost.
  Visit trace[kTraceCapacity];
};
static_assert(sizeof(Board) == 88 + sizeof(Board::Visit) * kTraceCapacity);
static_assert(std::atomic<Trap>::is_always_lock_free);

// The board of the file at `path`, mapped for as long as the process lives;
// null if it is none.
Board* MapBoard(const char* path);

// Writes the visit down if the test wants that. True if the caller is to die:
// for one visitor only, however many there are.
bool Visited(Board& board, std::string_view name, pid_t pid);

}  // namespace apm::fault
