#include "agent/keeper/log.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace apm::keeper {
namespace {

void WriteLine(std::string_view level, std::string_view message) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  // UTC: the zone database is not worth its memory here.
  tm calendar{};
  gmtime_r(&now.tv_sec, &calendar);
  char seconds[32];
  strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &calendar);
  char head[96];
  snprintf(head, sizeof head, "%s.%03ld+00:00 apm-keeper[%d] ", seconds,
           now.tv_nsec / 1'000'000, getpid());

  std::string line(head);
  line.append(level).append(": ");
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    line.push_back(byte < 0x20 || byte == 0x7f ? '?' : c);
  }
  line.push_back('\n');
  while (write(STDERR_FILENO, line.data(), line.size()) < 0 && errno == EINTR) {
  }
}

}  // namespace

void LogInfo(std::string_view message) { WriteLine("info", message); }
void LogWarning(std::string_view message) { WriteLine("warning", message); }
void LogError(std::string_view message) { WriteLine("error", message); }

}  // namespace apm::keeper
