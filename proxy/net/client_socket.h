// A client's socket with what was read from it and what it shall get: bytes
// in and out, nothing about what they mean.
//
// Answers are gathered and sent once a loop turn. Reading stops when its
// bounded buffer is full; TCP does the rest.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "base/os/unique_fd.h"
#include "proxy/net/input_kit.h"
#include "proxy/net/net_context.h"

namespace apm::net {

// Of answers that wait for a slow client; more, and it is cut off. Above the
// largest single frame, since a worker cannot be told to pause.
inline constexpr size_t kMaxOutputBytes = size_t{64} << 20;
// With more than this to take, a client is not listened to: neither a request
// nor a message of its own adds to it.
inline constexpr size_t kMaxOutputAhead = size_t{256} << 10;

// Owned by its Connection. Thread: the shard's.
class ClientSocket {
 public:
  enum class ReadResult : uint8_t { kBytes, kNothing, kEnd, kBroken };
  enum class WriteResult : uint8_t { kDone, kBlocked, kBroken };

  ClientSocket(NetContext& context, UniqueFd fd);
  ClientSocket(const ClientSocket&) = delete;
  ClientSocket& operator=(const ClientSocket&) = delete;
  ~ClientSocket() { Close(); }

  absl::Status Watch(EventLoop::FdCallback on_events);

  // Reads once into the kit. kNothing also if there is no room. `may_move`:
  // nobody holds views of unread bytes.
  ReadResult Read(bool may_move);
  // Would Read() find room?
  bool HasRoom(bool may_move) const {
    return !kit_ || kit_->end < kInputBytes || (may_move && kit_->begin > 0);
  }
  bool ended() const { return ended_; }  // The client sends no more.

  bool has_input() const { return kit_ && !kit_->empty(); }
  // REQUIRES: something has been read and the kit not been given back.
  InputKit& kit() const { return *kit_; }
  // REQUIRES: nobody holds views of it or the state of its parsers.
  void GiveBackKit();

  // What the client shall get; sent by Flush().
  std::string& output() { return output_; }
  size_t pending_output() const { return output_.size() - sent_; }
  bool output_full() const { return pending_output() > kMaxOutputAhead; }
  // The client is too slow to be kept: it holds too much, or does when all
  // clients together hold too much.
  bool output_over_limit() const {
    return pending_output() > kMaxOutputBytes ||
           (output_full() &&
            context_.held_bytes > context_.limits.max_held_bytes);
  }
  WriteResult Flush();

  // When the client last took something, or was first offered it.
  absl::Duration last_progress() const { return last_progress_; }

  // Which events to wait for; costs nothing where nothing changes.
  void WantRead(bool want) { want_read_ = want; }
  void UpdateInterest();

  // No more bytes to the client; it may still send.
  void ShutdownOutput();
  // The close to come tells the client that the answer is broken (RST).
  void ResetOnClose();
  void Close();

  uint64_t bytes_in() const { return bytes_in_; }
  uint64_t bytes_out() const { return bytes_out_; }

 private:
  WriteResult Send();
  void CountHeld();

  NetContext& context_;
  UniqueFd fd_;
  std::unique_ptr<InputKit> kit_;
  std::string output_;
  size_t sent_ = 0;          // Prefix of output_ that the socket has taken.
  size_t counted_held_ = 0;  // Of context_.held_bytes.
  absl::Duration last_progress_;
  uint64_t bytes_in_ = 0;
  uint64_t bytes_out_ = 0;
  bool ended_ = false;
  bool blocked_ = false;  // The socket takes no more for now.
  bool want_read_ = true;
  uint32_t watched_events_ = 0;
};

}  // namespace apm::net
