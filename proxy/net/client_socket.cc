#include "proxy/net/client_socket.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <span>
#include <string>
#include <utility>

#include <absl/status/status.h>

namespace apm::net {
namespace {

// An output buffer that an answer has grown beyond this is not kept while
// there is nothing to send.
constexpr size_t kKeptOutputBytes = 1024;

}  // namespace

ClientSocket::ClientSocket(NetContext& context, UniqueFd fd)
    : context_(context), fd_(std::move(fd)) {}

absl::Status ClientSocket::Watch(EventLoop::FdCallback on_events) {
  watched_events_ = EPOLLIN;
  return context_.loop.Add(fd_.get(), watched_events_, std::move(on_events));
}

ClientSocket::ReadResult ClientSocket::Read(bool may_move) {
  if (!kit_) kit_ = context_.kits.Take();
  const std::span<char> room = kit_->Room(may_move);
  if (room.empty()) return ReadResult::kNothing;
  ssize_t count = 0;
  do {
    count = recv(fd_.get(), room.data(), room.size(), MSG_DONTWAIT);
  } while (count < 0 && errno == EINTR);
  if (count == 0) {
    ended_ = true;
    return ReadResult::kEnd;
  }
  if (count < 0) {
    return errno == EAGAIN ? ReadResult::kNothing : ReadResult::kBroken;
  }
  kit_->end += static_cast<size_t>(count);
  bytes_in_ += static_cast<uint64_t>(count);
  return ReadResult::kBytes;
}

void ClientSocket::GiveBackKit() {
  if (kit_) context_.kits.GiveBack(std::move(kit_));
}

ClientSocket::WriteResult ClientSocket::Flush() {
  if (pending_output() == 0) return WriteResult::kDone;
  const WriteResult result = Send();
  CountHeld();
  return result;
}

void ClientSocket::CountHeld() {
  context_.held_bytes += pending_output() - counted_held_;  // May wrap back.
  counted_held_ = pending_output();
}

ClientSocket::WriteResult ClientSocket::Send() {
  if (!blocked_ && sent_ == 0) last_progress_ = context_.loop.Now();
  while (sent_ < output_.size()) {
    const ssize_t count =
        send(fd_.get(), output_.data() + sent_, output_.size() - sent_,
             MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) {
      blocked_ = true;
      if (sent_ > output_.size() / 2) {
        output_.erase(0, sent_);
        sent_ = 0;
      }
      return WriteResult::kBlocked;
    }
    if (count < 0) return WriteResult::kBroken;
    sent_ += static_cast<size_t>(count);
    bytes_out_ += static_cast<uint64_t>(count);
    last_progress_ = context_.loop.Now();
  }
  blocked_ = false;
  sent_ = 0;
  output_.clear();
  if (output_.capacity() > kKeptOutputBytes) {
    output_ = std::string();
  }
  return WriteResult::kDone;
}

void ClientSocket::UpdateInterest() {
  if (!fd_) return;
  const uint32_t events = (want_read_ && !ended_ ? uint32_t{EPOLLIN} : 0) |
                          (blocked_ ? uint32_t{EPOLLOUT} : 0);
  if (events == watched_events_) return;
  watched_events_ = events;
  context_.loop.Modify(fd_.get(), events);
}

void ClientSocket::ShutdownOutput() { shutdown(fd_.get(), SHUT_WR); }

void ClientSocket::ResetOnClose() {
  const linger reset{1, 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
}

void ClientSocket::Close() {
  if (!fd_) return;
  context_.loop.Remove(fd_.get());
  fd_.Reset();
  output_.clear();
  sent_ = 0;
  CountHeld();
  GiveBackKit();
}

}  // namespace apm::net
