#include "ctl/trust.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/time/time.h>

#include "base/os/unique_fd.h"
#include "base/os/unix_socket.h"
#include "base/os/user_name.h"
#include "base/status/status_macros.h"
#include "ctl/command_line.h"

namespace apm::ctl {
namespace {

absl::Status NobodyAnswers(const std::string& socket) {
  struct stat file {};
  if (socket.front() == '/' && stat(socket.c_str(), &file) == 0 &&
      !S_ISSOCK(file.st_mode)) {
    return absl::UnavailableError(
        absl::StrCat("'", socket,
                     "' is not a socket; name the agent's with --socket @NAME "
                     "or --socket PATH"));
  }
  const std::string choice =
      socket == kDefaultSocket ? "" : absl::StrCat(" --socket ", socket);
  return absl::UnavailableError(absl::StrCat(
      "no agent answers on '", socket, "'; start one with: apm-keeper", choice,
      "; where apm-keeper runs, its log "
      "says why there is no agent"));
}

// A user without a name goes by his number, here and in --daemon-user.
std::string NameOrNumber(uid_t uid) {
  std::string name = UserName(uid);
  return FindUser(name) == uid ? name : absl::StrCat(uid);
}

std::optional<uid_t> ReadUser(const std::string& user) {
  uid_t number = 0;
  if (absl::SimpleAtoi(user, &number)) return number;
  return FindUser(user);
}

}  // namespace

absl::Status TrustServer(const ucred& server, uid_t caller,
                         const std::string& socket,
                         const std::string& daemon_user) {
  if (server.uid == 0 || server.uid == caller) return absl::OkStatus();
  if (!daemon_user.empty()) {
    const std::optional<uid_t> named = ReadUser(daemon_user);
    if (!named) {
      return absl::PermissionDeniedError(absl::StrCat(
          "there is no user '", daemon_user, "', as --daemon-user says"));
    }
    if (server.uid == *named) return absl::OkStatus();
  }
  const std::string name = NameOrNumber(server.uid);
  return absl::PermissionDeniedError(
      absl::StrCat(socket, " is held by ", DescribePeer(server),
                   "; if you mean ", name, "'s daemon: --daemon-user ", name));
}

absl::StatusOr<UniqueFd> ConnectToAgent(const Globals& globals,
                                        absl::Duration patience) {
  APM_ASSIGN_OR_RETURN(const UnixAddress address,
                       ParseUnixAddress(globals.socket));
  absl::StatusOr<UniqueFd> socket = ConnectUnix(address, patience);
  if (absl::IsUnavailable(socket.status()) ||
      absl::IsNotFound(socket.status())) {
    return NobodyAnswers(globals.socket);
  }
  APM_RETURN_IF_ERROR(socket.status());
  APM_ASSIGN_OR_RETURN(const ucred server, PeerCredentials(socket->get()));
  APM_RETURN_IF_ERROR(
      TrustServer(server, geteuid(), globals.socket, globals.daemon_user));
  return socket;
}

}  // namespace apm::ctl
