// The socket that the agent listens on, and who else has it.

#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "base/os/unique_fd.h"

namespace apm::control {

// A listening socket; removes its path when it goes, if that is still its own.
class ControlSocket {
 public:
  // Binds and listens, non-blocking. Anybody may connect: who he is decides
  // what he may do. kAlreadyExists if somebody answers there (it names him and
  // the next step) or if the path is not a socket; kInvalidArgument if `text`
  // is no address; else the error of bind.
  static absl::StatusOr<ControlSocket> Listen(std::string_view text);

  ControlSocket(ControlSocket&& other) noexcept = default;
  ControlSocket& operator=(ControlSocket&& other) = delete;
  ~ControlSocket();

  int fd() const { return socket_.get(); }

 private:
  ControlSocket() = default;

  UniqueFd socket_;
  std::string path_;  // Empty for an abstract socket.
  dev_t device_ = 0;  // Of the path, as bound.
  ino_t inode_ = 0;
};

}  // namespace apm::control
