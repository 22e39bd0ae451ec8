// The way from a port to a process is the inode of the socket: proc_net(5)
// has the inode of each port, and each process's /proc/<pid>/fd has links
// "socket:[inode]" (proc(5)). Reading the links of another user's process
// needs root.

#include "agent/listeners/port_holder.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <absl/strings/str_format.h>

#include "base/os/unique_fd.h"

namespace apm::listeners {
namespace {

using config::AddressKind;
using config::FormatAddress;
using config::ListenAddress;

constexpr size_t kMaxProcBytes = size_t{8} << 20;  // Of one /proc/net file.
constexpr uint64_t kStateListen = 0x0A;            // TCP_LISTEN.
constexpr std::string_view kMappedPrefix("\0\0\0\0\0\0\0\0\0\0\xFF\xFF", 12);

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};
using UniqueDir = std::unique_ptr<DIR, CloseDir>;

std::string ReadProcFile(const std::string& path) {
  std::string text;
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char buffer[16384];
  ssize_t size = 0;
  while (fd && text.size() < kMaxProcBytes &&
         (size = read(fd.get(), buffer, sizeof buffer)) > 0) {
    text.append(buffer, static_cast<size_t>(size));
  }
  return text;
}

// Takes the next field off `line`.
std::string_view TakeField(std::string_view& line) {
  while (line.starts_with(' ')) line.remove_prefix(1);
  const std::string_view field = line.substr(0, line.find(' '));
  line.remove_prefix(field.size());
  return field;
}

std::optional<uint64_t> ParseNumber(std::string_view text, int base) {
  uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, value, base);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return value;
}

// "0100007F" or 32 digits: words of 32 bits, each printed as a number of this
// machine's byte order. Returns the bytes in network order, or nothing.
std::string ParseHexAddress(std::string_view text) {
  std::string bytes;
  for (; text.size() >= 8; text.remove_prefix(8)) {
    const auto number = ParseNumber(text.substr(0, 8), 16);
    if (!number) return "";
    const auto word = static_cast<uint32_t>(*number);
    char part[sizeof word];
    memcpy(part, &word, sizeof word);
    bytes.append(part, sizeof part);
  }
  return text.empty() ? bytes : "";
}

bool IsWildcard(std::string_view bytes) {
  return bytes.find_first_not_of('\0') == std::string_view::npos;
}

std::string WantedBytes(const ListenAddress& address) {
  char bytes[sizeof(in6_addr)] = {};
  const bool six = address.kind == AddressKind::kTcp6;
  inet_pton(six ? AF_INET6 : AF_INET, address.host.c_str(), bytes);
  return std::string(bytes, six ? sizeof(in6_addr) : sizeof(in_addr));
}

bool InTheWay(std::string_view held, std::string_view wanted) {
  if (held.size() > wanted.size()) {  // A v6 socket and a v4 address.
    if (IsWildcard(held)) return true;
    if (!held.starts_with(kMappedPrefix)) return false;
    held.remove_prefix(kMappedPrefix.size());
  }
  if (held.size() != wanted.size()) return false;
  return held == wanted || IsWildcard(held) || IsWildcard(wanted);
}

// The process that has the socket open; 0 if none can be seen.
pid_t FindOwner(uint64_t inode) {
  const std::string wanted = absl::StrFormat("socket:[%d]", inode);
  const UniqueDir processes(opendir("/proc"));
  if (!processes) return 0;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): each stream is ours alone.
  while (const dirent* process = readdir(processes.get())) {
    const auto pid = ParseNumber(process->d_name, 10);
    if (!pid) continue;
    const std::string folder = absl::StrFormat("/proc/%d/fd", *pid);
    const UniqueDir links(opendir(folder.c_str()));
    if (!links) continue;
    // NOLINTNEXTLINE(concurrency-mt-unsafe)
    while (const dirent* link = readdir(links.get())) {
      char target[64];
      const ssize_t size =
          readlinkat(dirfd(links.get()), link->d_name, target, sizeof target);
      if (size > 0 &&
          std::string_view(target, static_cast<size_t>(size)) == wanted) {
        return static_cast<pid_t>(*pid);
      }
    }
  }
  return 0;
}

}  // namespace

std::optional<PortEntry> FindPortEntry(std::string_view text, bool six,
                                       const ListenAddress& address) {
  const std::string wanted = WantedBytes(address);
  const size_t address_digits = six ? 32 : 8;
  std::optional<PortEntry> bound;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    TakeField(line);  // "0:", the number of the line.
    const std::string_view local = TakeField(line);
    TakeField(line);  // The remote address.
    const auto state = ParseNumber(TakeField(line), 16);
    for (int skipped = 0; skipped < 3; ++skipped) TakeField(line);
    const auto uid = ParseNumber(TakeField(line), 10);
    TakeField(line);  // timeout
    const auto inode = ParseNumber(TakeField(line), 10);
    if (!state || !uid || !inode || local.size() < address_digits + 1 ||
        local[address_digits] != ':') {
      continue;  // The header, or a format of the future.
    }
    const auto port = ParseNumber(local.substr(address_digits + 1), 16);
    const std::string held = ParseHexAddress(local.substr(0, address_digits));
    if (port != address.port || *inode == 0 || !InTheWay(held, wanted)) {
      continue;
    }
    bound = PortEntry{*inode, static_cast<uid_t>(*uid)};
    if (*state == kStateListen) return bound;
  }
  return bound;
}

std::string DescribeProcess(pid_t pid) {
  std::string name = ReadProcFile(absl::StrFormat("/proc/%d/comm", pid));
  if (name.ends_with('\n')) name.pop_back();
  if (name.empty()) name = "a process";
  return absl::StrFormat("%s (pid %d)", name, pid);
}

std::string DescribePortInUse(const ListenAddress& address) {
  const std::string place = FormatAddress(address);
  std::optional<PortEntry> entry;
  if (address.kind == AddressKind::kTcp4) {
    entry = FindPortEntry(ReadProcFile("/proc/net/tcp"), false, address);
  }
  if (!entry) {
    entry = FindPortEntry(ReadProcFile("/proc/net/tcp6"), true, address);
  }
  if (!entry) return place + " is in use";
  if (const pid_t pid = FindOwner(entry->inode); pid != 0) {
    return absl::StrFormat("%s is in use by %s", place, DescribeProcess(pid));
  }
  return absl::StrFormat("%s is in use by a process of uid %d", place,
                         entry->uid);
}

}  // namespace apm::listeners
