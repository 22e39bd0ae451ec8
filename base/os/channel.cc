#include "base/os/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/clock.h>
#include <absl/time/time.h>

#include "base/os/errno_status.h"
#include "base/os/sealed_memfd.h"
#include "base/status/status_macros.h"

namespace apm {
namespace {

constexpr char kInline = 0;
constexpr char kInMemfd = 1;
// A busy peer must not keep the loop from its other work.
constexpr int kPacketsPerTurn = 64;

// The result of sendmsg(): 0 or errno.
int SendPacket(int socket, std::string_view bytes, std::span<const int> fds) {
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxPacketFds * sizeof(int))];
  if (!fds.empty()) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    memset(control, 0, header.msg_controllen);
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
  }
  for (;;) {
    if (sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

std::vector<UniqueFd> TakeFds(msghdr& header) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr;
       part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> CreateChannelPair() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                 ends) != 0) {
    return ErrnoStatus(errno, "create a socket pair");
  }
  return std::pair<UniqueFd, UniqueFd>(UniqueFd(ends[0]), UniqueFd(ends[1]));
}

Channel::Channel(EventLoop& loop, UniqueFd socket, std::deque<Packet> queue)
    : loop_(loop),
      socket_(std::move(socket)),
      queue_(std::move(queue)),
      receive_buffer_(kMaxPacketBytes) {
  // An end that was inherited through exec may have lost both flags.
  fcntl(socket_.get(), F_SETFD, FD_CLOEXEC);
  fcntl(socket_.get(), F_SETFL, fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
}

Channel::~Channel() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  if (socket_) loop_.Remove(socket_.get());
}

absl::Status Channel::Start(MessageCallback on_message,
                            ClosedCallback on_closed) {
  on_message_ = std::move(on_message);
  on_closed_ = std::move(on_closed);
  const uint32_t events = queue_.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT;
  return loop_.Add(socket_.get(), events,
                   [this](uint32_t ready) { OnEvents(ready); });
}

absl::Status Channel::Send(std::string_view message, std::span<const int> fds) {
  if (!socket_) return absl::UnavailableError("channel is closed");
  if (message.size() > kMaxMessageBytes || fds.size() > kMaxMessageFds) {
    return absl::InvalidArgumentError("channel message exceeds its limits");
  }
  std::vector<int> sent_fds;
  std::string bytes;
  UniqueFd memfd;
  if (message.size() > kMaxInlineBytes) {
    APM_ASSIGN_OR_RETURN(memfd, CreateSealedMemfd("apm-message", message));
    bytes.push_back(kInMemfd);
    sent_fds.push_back(memfd.get());
  } else {
    bytes.reserve(message.size() + 1);
    bytes.push_back(kInline);
    bytes.append(message);
  }
  sent_fds.insert(sent_fds.end(), fds.begin(), fds.end());

  if (queue_.empty()) {
    const int error = SendPacket(socket_.get(), bytes, sent_fds);
    if (error == 0) return absl::OkStatus();
    if (error == EPIPE || error == ECONNRESET) {
      return absl::UnavailableError("channel peer has gone");
    }
    if (error != EAGAIN && error != ENOBUFS && error != ETOOMANYREFS) {
      return ErrnoStatus(error, "send to a channel");
    }
  }
  if (queue_.size() >= kMaxQueuedPackets) {
    return absl::ResourceExhaustedError("channel peer does not read");
  }
  Packet packet;
  packet.bytes = std::move(bytes);
  for (const int fd : sent_fds) {
    packet.fds.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!packet.fds.back()) return ErrnoStatus(errno, "duplicate a descriptor");
  }
  queue_.push_back(std::move(packet));
  if (on_message_) loop_.Modify(socket_.get(), EPOLLIN | EPOLLOUT);
  return absl::OkStatus();
}

void Channel::SendQueued() {
  while (!queue_.empty()) {
    const Packet& packet = queue_.front();
    std::vector<int> fds;
    for (const UniqueFd& fd : packet.fds) fds.push_back(fd.get());
    const int error = SendPacket(socket_.get(), packet.bytes, fds);
    if (error == EAGAIN || error == ENOBUFS || error == ETOOMANYREFS) return;
    // Any other error: the peer has gone, and reading will say so.
    queue_.pop_front();
  }
  if (on_message_) loop_.Modify(socket_.get(), EPOLLIN);
}

void Channel::Flush(absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (socket_ && !queue_.empty() && absl::Now() < deadline) {
    pollfd wait{socket_.get(), POLLOUT, 0};
    poll(&wait, 1,
         static_cast<int>(absl::ToInt64Milliseconds(deadline - absl::Now())));
    SendQueued();
  }
}

void Channel::OnEvents(uint32_t events) {
  if ((events & EPOLLOUT) != 0) SendQueued();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) Receive();
}

void Channel::Receive() {
  bool destroyed = false;
  destroyed_ = &destroyed;
  for (int i = 0; i < kPacketsPerTurn; ++i) {
    iovec part{receive_buffer_.data(), receive_buffer_.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(kMaxPacketFds * sizeof(int))];
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    const ssize_t size =
        recvmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    // A peer that has gone without reading all we sent: said once, ahead of
    // what it sent before.
    if (size < 0 && (errno == EINTR || errno == ECONNRESET)) continue;
    if (size < 0 && errno == EAGAIN) break;
    if (size <= 0) {
      Close(size == 0 ? absl::UnavailableError("channel peer has gone")
                      : ErrnoStatus(errno, "receive from a channel"));
      return;
    }
    std::vector<UniqueFd> fds = TakeFds(header);
    if ((header.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0) {
      Close(absl::DataLossError(
          "channel message was cut: too large, or out of descriptors"));
      return;
    }
    std::string_view message(receive_buffer_.data() + 1,
                             static_cast<size_t>(size) - 1);
    std::string large;
    if (receive_buffer_[0] == kInMemfd) {
      if (fds.empty()) {
        Close(absl::DataLossError("channel message without its memfd"));
        return;
      }
      absl::StatusOr<std::string> bytes =
          ReadSealedMemfd(fds.front().get(), kMaxMessageBytes);
      if (!bytes.ok()) {
        Close(std::move(bytes).status());
        return;
      }
      large = *std::move(bytes);
      message = large;
      fds.erase(fds.begin());
    }
    on_message_(message, std::move(fds));
    if (destroyed) return;
    if (!socket_) break;
  }
  destroyed_ = nullptr;
}

void Channel::Close(absl::Status reason) {
  destroyed_ = nullptr;
  loop_.Remove(socket_.get());
  socket_.Reset();
  queue_.clear();
  // Moved out: the callback may destroy the channel.
  ClosedCallback on_closed = std::move(on_closed_);
  if (on_closed) on_closed(std::move(reason));
}

}  // namespace apm
