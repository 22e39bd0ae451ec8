#include "base/os/unix_socket.h"

#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include "base/os/errno_status.h"
#include "base/os/unique_fd.h"
#include "base/os/user_name.h"

namespace apm {
namespace {

// The path of sockaddr_un, less the terminating NUL or the leading one.
constexpr size_t kMaxNameBytes = sizeof(sockaddr_un::sun_path) - 1;

}  // namespace

absl::StatusOr<UnixAddress> ParseUnixAddress(std::string_view text) {
  const bool abstract = text.starts_with('@');
  const auto refuse = [text](std::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("socket '", absl::string_view(text.data(), text.size()),
                     "' ", absl::string_view(why.data(), why.size()),
                     "; write @NAME or an absolute path"));
  };
  if (text.empty() || text == "@") return refuse("has no name");
  if (!abstract && text.front() != '/') return refuse("is a relative path");
  if (text.find('\0') != std::string_view::npos) return refuse("has a NUL");
  // An abstract name begins with a NUL in place of the '@'.
  if (text.size() > kMaxNameBytes) return refuse("is longer than 107 bytes");

  UnixAddress result;
  result.text = std::string(text);
  result.address.sun_family = AF_UNIX;
  std::ranges::copy(text, result.address.sun_path);
  if (abstract) result.address.sun_path[0] = '\0';
  // Every byte of an abstract name counts; a path has its NUL.
  result.length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) +
                                         text.size() + (abstract ? 0 : 1));
  return result;
}

absl::StatusOr<UniqueFd> ConnectUnix(const UnixAddress& address,
                                     absl::Duration patience) {
  const std::string action = absl::StrCat("connect to '", address.text, "'");
  UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return ErrnoStatus(errno, action);
  // A zero timeout would mean "for ever".
  timeval timeout = absl::ToTimeval(std::max(patience, absl::Milliseconds(1)));
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  if (connect(socket.get(), address.get(), address.length) != 0) {
    if (errno == EAGAIN) {
      return absl::DeadlineExceededError(
          absl::StrCat(action, ": its queue of connections is full"));
    }
    return ErrnoStatus(errno, action);
  }
  timeout = {};
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  return socket;
}

absl::StatusOr<ucred> PeerCredentials(int socket) {
  ucred peer{};
  socklen_t length = sizeof(peer);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
    return ErrnoStatus(errno, "ask for the peer of a socket");
  }
  return peer;
}

std::string DescribePeer(const ucred& peer) {
  return absl::StrCat("uid ", peer.uid, " (", UserName(peer.uid), "), pid ",
                      peer.pid);
}

}  // namespace apm
