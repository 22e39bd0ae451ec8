// Out of descriptors, accept() fails but the listening socket stays readable:
// the loop would spin. The reserve descriptor buys one accept to close that
// client's connection (it sees an end instead of a hang), then accepting
// pauses; the jitter keeps many listeners from coming back at once.

#include "proxy/net/acceptor.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cstdint>
#include <span>
#include <utility>

#include <absl/status/status.h>
#include <absl/time/time.h>

namespace apm::net {
namespace {

// Others of the same turn wait; the socket stays readable for the next one.
constexpr int kAcceptsPerWake = 4;
constexpr int kPauseMilliseconds = 50;
constexpr uint32_t kJitterMilliseconds = 100;

Peer ReadPeer(const sockaddr_storage& address) {
  Peer peer;
  if (address.ss_family == AF_INET) {
    sockaddr_in v4;
    memcpy(&v4, &address, sizeof v4);
    uint8_t bytes[4];
    memcpy(bytes, &v4.sin_addr, sizeof bytes);
    peer.address =
        client_address::IpAddress::FromV4(std::span<const uint8_t, 4>(bytes));
    peer.port = ntohs(v4.sin_port);
  } else if (address.ss_family == AF_INET6) {
    sockaddr_in6 v6;
    memcpy(&v6, &address, sizeof v6);
    uint8_t bytes[16];
    memcpy(bytes, &v6.sin6_addr, sizeof bytes);
    peer.address =
        client_address::IpAddress::FromV6(std::span<const uint8_t, 16>(bytes));
    peer.port = ntohs(v6.sin6_port);
  }
  if (peer.address) peer.text = peer.address->ToString();
  return peer;
}

UniqueFd MakeReserve() { return UniqueFd(eventfd(0, EFD_CLOEXEC)); }

}  // namespace

Acceptor::Acceptor(EventLoop& loop, UniqueFd socket, AcceptCallback on_accept,
                   ErrorCallback on_error)
    : loop_(loop),
      socket_(std::move(socket)),
      on_accept_(std::move(on_accept)),
      on_error_(std::move(on_error)),
      reserve_(MakeReserve()),
      jitter_state_(static_cast<uint32_t>(socket_.get()) * 2654435761u) {}

Acceptor::~Acceptor() {
  loop_.Cancel(pause_);
  loop_.Remove(socket_.get());
}

absl::Status Acceptor::Start() {
  // A blocking one would stop the loop when a client changes its mind between
  // epoll and accept() (accept(2), "Notes").
  fcntl(socket_.get(), F_SETFL, fcntl(socket_.get(), F_GETFL) | O_NONBLOCK);
  return loop_.Add(socket_.get(), EPOLLIN | EPOLLEXCLUSIVE,
                   [this](uint32_t) { OnReadable(); });
}

void Acceptor::OnReadable() {
  for (int i = 0; i < kAcceptsPerWake; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    UniqueFd client(accept4(socket_.get(),
                            reinterpret_cast<sockaddr*>(&address), &size,
                            SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (client) {
      Peer peer = ReadPeer(address);
      if (peer.address) {
        const int on = 1;
        setsockopt(client.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      }
      on_accept_(std::move(client), std::move(peer));
      continue;
    }
    switch (errno) {
      case EAGAIN:
        return;
      case EMFILE:
      case ENFILE:
      case ENOBUFS:
      case ENOMEM:
        on_error_();
        ShedOne();
        Pause();
        return;
      default:
        continue;  // This client has gone again (accept(2), "Error handling").
    }
  }
}

void Acceptor::ShedOne() {
  reserve_.Reset();
  UniqueFd refused(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  refused.Reset();
  reserve_ = MakeReserve();
}

void Acceptor::Pause() {
  loop_.Remove(socket_.get());
  jitter_state_ = jitter_state_ * 1664525u + 1013904223u;
  const auto jitter =
      static_cast<int>((jitter_state_ >> 16) % kJitterMilliseconds);
  pause_ =
      loop_.RunAfter(absl::Milliseconds(kPauseMilliseconds + jitter), [this] {
        pause_ = kNoTimer;
        // Fails only for want of memory: try again later.
        if (!Start().ok()) Pause();
      });
}

}  // namespace apm::net
