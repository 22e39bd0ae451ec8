// Ends what a worker left behind.
#include "agent/process_sweep.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <fstream>
#include <sstream>
namespace apm::agent {
static std::string TagOf(pid_t pid) {
  std::ifstream f("/proc/" + std::to_string(pid) + "/environ");
  std::stringstream ss; ss << f.rdbuf(); std::string env = ss.str();
  size_t at = 0;
  while (at < env.size()) { size_t e = env.find('\0', at); if (e == std::string::npos) e = env.size();
    if (env.compare(at, 12, "APM_PROCESS=") == 0) return env.substr(at + 12, e - at - 12);
    at = e + 1; }
  return "";
}
template <typename F> static SweepReport Sweep(F match) {
  SweepReport r;
  for (bool found = true; found;) { found = false;
    DIR* d = opendir("/proc"); 
    while (dirent* e = readdir(d)) { pid_t pid = atoi(e->d_name); if (pid <= 1 || pid == getpid()) continue;
      std::string tag = TagOf(pid); if (tag.empty() || !match(tag)) continue;
      std::ifstream c("/proc/" + std::to_string(pid) + "/comm"); std::string comm; std::getline(c, comm);
      if (kill(pid, SIGKILL) == 0) { found = true; r.killed.push_back({tag, {pid, comm, "left"}}); } }
    closedir(d); usleep(1000); if (r.killed.size() > 50) break; }
  return r;
}
SweepReport SweepProcesses(std::span<const std::string> tags, const SweepLimits&) {
  return Sweep([&](const std::string& t) { for (auto& x : tags) if (x == t) return true; return false; }); }
SweepReport SweepDaemon(std::string_view id, const SweepLimits&) {
  return Sweep([&](const std::string& t) { return t.starts_with(std::string(id) + "/"); }); }
}  // namespace apm::agent
