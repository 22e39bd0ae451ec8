// Messages with descriptors between two of our processes, over a
// SOCK_SEQPACKET pair.
//
//   packet := kind:u8  body          kind 0: the body is the message
//                                    kind 1: the message is in the sealed
//                                            memfd that is the first descriptor
//
// Knows bytes and descriptors, not what they mean (proto/apm/internal/v1).

#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/os/event_loop.h"
#include "base/os/unique_fd.h"

namespace apm {

// Largest body sent in the packet itself; larger ones travel in a memfd.
inline constexpr size_t kMaxInlineBytes = size_t{64} << 10;
// Largest message at all.
inline constexpr size_t kMaxMessageBytes = size_t{64} << 20;
// Descriptors in one message. The kernel's limit is 253 (SCM_MAX_FD), one of
// which may be the memfd.
inline constexpr size_t kMaxMessageFds = 250;
// In a packet: the descriptors of a message, and perhaps its memfd.
inline constexpr size_t kMaxPacketFds = kMaxMessageFds + 1;
inline constexpr size_t kMaxPacketBytes = kMaxInlineBytes + 1;
// Packets that wait for a peer that does not read, before Send() refuses.
inline constexpr size_t kMaxQueuedPackets = 65'536;

// Both ends of a new pair, close-on-exec.
absl::StatusOr<std::pair<UniqueFd, UniqueFd>> CreateChannelPair();

// Thread: the loop's.
class Channel {
 public:
  using MessageCallback =
      std::function<void(std::string_view message, std::vector<UniqueFd> fds)>;
  // Called once, when the peer has gone or sent a malformed packet. The
  // channel is closed then and may be destroyed from inside.
  using ClosedCallback = std::function<void(absl::Status reason)>;

  // One that the kernel did not take yet.
  struct Packet {
    std::string bytes;  // With its kind.
    std::vector<UniqueFd> fds;
  };

  // `loop` outlives the channel. `queue` is to be sent before all else: what
  // a program that this one replaced left unsent.
  Channel(EventLoop& loop, UniqueFd socket, std::deque<Packet> queue = {});
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel();

  // Begins to receive. REQUIRES: called once.
  absl::Status Start(MessageCallback on_message, ClosedCallback on_closed);

  // Sends, in order, without blocking: what the kernel does not take now is
  // queued with duplicates of `fds`, so that the caller may close his.
  // kInvalidArgument over the limits above, kResourceExhausted if the queue
  // is full, kUnavailable once closed or when the peer has gone; the message
  // is not sent then.
  absl::Status Send(std::string_view message, std::span<const int> fds = {});

  // Blocks until the queue has been written, for at most `patience`: for a
  // last word before exit.
  void Flush(absl::Duration patience);

  bool closed() const { return !socket_; }

  // All that a program which replaces this one (execve(2)) needs to go on.
  int socket() const { return socket_.get(); }
  const std::deque<Packet>& queue() const { return queue_; }

 private:
  void OnEvents(uint32_t events);
  void Receive();
  void SendQueued();
  void Close(absl::Status reason);

  EventLoop& loop_;
  UniqueFd socket_;
  MessageCallback on_message_;
  ClosedCallback on_closed_;
  std::deque<Packet> queue_;
  std::vector<char> receive_buffer_;
  bool* destroyed_ = nullptr;  // Set while a callback of ours runs.
};

}  // namespace apm
