#include "base/fault/board.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string_view>

#include "base/os/unique_fd.h"

namespace apm::fault {
namespace {

void WriteDown(Board& board, std::string_view name, pid_t pid) {
  const uint32_t number = board.visits.fetch_add(1);
  if (number >= kTraceCapacity) return;
  Board::Visit& visit = board.trace[number];
  visit.pid = pid;
  memcpy(visit.name, name.data(), name.size());
}

}  // namespace

Board* MapBoard(const char* path) {
  const UniqueFd file(open(path, O_RDWR | O_CLOEXEC));
  struct stat facts {};
  if (!file || fstat(file.get(), &facts) != 0 ||
      facts.st_size != sizeof(Board)) {
    return nullptr;
  }
  void* memory = mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE,
                      MAP_SHARED, file.get(), 0);
  if (memory == MAP_FAILED) return nullptr;
  auto* board = static_cast<Board*>(memory);
  return memcmp(board->magic, kMagic, sizeof kMagic) == 0 ? board : nullptr;
}

bool Visited(Board& board, std::string_view name, pid_t pid) {
  if (name.size() >= kNameBytes) return false;
  if (board.tracing.load() != 0) WriteDown(board, name, pid);
  if (board.trap.load() != Trap::kArmed || name != board.name) return false;
  if (board.countdown.fetch_sub(1) != 1) return false;
  board.victim.store(pid);
  board.trap.store(Trap::kSprung);
  return true;
}

}  // namespace apm::fault
