// Owns one file descriptor and closes it. The only owner of descriptors in
// this tree; open them with O_CLOEXEC.
//
// A descriptor that an EventLoop watches must leave it (EventLoop::Remove)
// before it is closed: a duplicate in another process keeps it in epoll.

#pragma once

#include <unistd.h>

#include <utility>

namespace apm {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  // -1 when empty.
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

  // Gives up ownership without closing.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }

  // Closes what is held, then holds `fd`. Errors of close() are ignored: on
  // Linux the descriptor is gone whatever it says (close(2), NOTES).
  void Reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace apm
