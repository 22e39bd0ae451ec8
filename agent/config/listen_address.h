// Where a worker is reached: one value of its `server` directive.
//
//   http://127.0.0.1:3000   ws://[::1]:3001   http://unix:./app.sock
//   unix:/run/app.sock      unix:@app         (no scheme: http)
//
// Pure text: nothing is resolved or bound here (agent/listeners does), and a
// host is a number, since a name would need DNS.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace apm::config {

// sockaddr_un holds 108 bytes with the terminating NUL (unix(7)).
inline constexpr size_t kMaxUnixPathBytes = 107;

enum class AddressKind : uint8_t { kTcp4, kTcp6, kUnixPath, kUnixAbstract };

struct ListenAddress {
  AddressKind kind = AddressKind::kTcp4;
  bool http = false;  // Requests are served here,
  bool ws = false;    // WebSocket upgrades are.
  std::string host;   // TCP: a numeric address, without brackets.
  uint16_t port = 0;  // TCP; 0: the kernel picks one.
  std::string path;   // Unix: an absolute path, or the abstract name after '@'.
  std::string text;   // As it was written.

  bool operator==(const ListenAddress&) const = default;
};

// What a value without a scheme may be.
enum class AddressForm : uint8_t {
  kConfigFile,   // Only unix:PATH and unix:@NAME.
  kCommandLine,  // Also host:port (it has a colon) and a path (leading '/' or
                 // '.', or no colon).
};

// Reads one address. A relative unix path is below `base`, an absolute folder.
// kInvalidArgument with a message that says what to write instead;
// kUnimplemented for the schemes this version does not have.
absl::StatusOr<ListenAddress> ParseListenAddress(std::string_view text,
                                                 AddressForm form,
                                                 std::string_view base);

// "127.0.0.1:3000", "[::1]:3000", "unix:/run/app.sock", "unix:@app": the place
// alone, without protocols. Two listeners of one place are one listener.
std::string FormatAddress(const ListenAddress& address);

// What a client would write, one for each protocol: "http://127.0.0.1:3000",
// "ws://unix:/run/app.sock".
std::vector<std::string> FormatUrls(const ListenAddress& address);

// Whether both cannot be bound at once: the same place, or the same port of
// one family where either is the wildcard address. Port 0 never clashes.
bool Clash(const ListenAddress& a, const ListenAddress& b);

}  // namespace apm::config
