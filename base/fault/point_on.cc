// Linked into the chaos variants only: see fault.h.
//
// The board is mapped before main(), as the proxy may not later. That takes a
// global, the one thing that all points of a program have in common.

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <string_view>

#include "base/fault/board.h"
#include "base/fault/fault.h"

namespace apm::fault {
namespace {

Board* g_board = nullptr;  // Null: no test asked, the points do nothing.

[[gnu::constructor]] void Connect() {
  const char* path = getenv(kFileVariable);
  if (path == nullptr) return;
  g_board = MapBoard(path);
  if (g_board != nullptr) return;
  fprintf(stderr, "%s names '%s', which is no fault board\n", kFileVariable,
          path);
  abort();
}

}  // namespace

void Point(std::string_view name) {
  if (g_board == nullptr || !Visited(*g_board, name, getpid())) return;
  // kill() is not for the sandboxed; this is, towards itself.
  syscall(SYS_tgkill, getpid(), gettid(), SIGKILL);
}

void Point(std::string_view name, int number) {
  if (g_board == nullptr) return;
  char full[kNameBytes];
  const int size = snprintf(full, sizeof full, "%.*s.%d",
                            static_cast<int>(name.size()), name.data(), number);
  Point(std::string_view(full, static_cast<size_t>(size)));
}

}  // namespace apm::fault
