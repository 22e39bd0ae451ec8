// Calls that answer with a stream and outlive the agent: what `-f` is made of.
//
//   StreamFollower follower(globals);
//   v1::WatchEventsRequest request = ...;
//   const absl::Status end = follower.Follow<v1::WatchEventsResponse>(
//       [&](Client& client) { return client.WatchEvents(request); },
//       [&](const v1::WatchEventsResponse& message) {
//         Print(message);
//         *request.mutable_after() = message.cursor();  // Go on from here.
//       });
//
// Ctrl-C is not our business: its default ends the program, which a shell
// shows as 130.

#pragma once

#include <functional>
#include <memory>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "ctl/client.h"
#include "ctl/command_line.h"

namespace apm::ctl {

// One such call. Destroying it cancels it.
template <typename Message>
class Stream {
 public:
  virtual ~Stream() = default;

  // Waits, for as long as it takes, for the next message. Else says what ended
  // the stream: kUnavailable when the agent has gone, kCancelled when nobody
  // reads our output any more, or the agent's own answer. REQUIRES: no error
  // was returned before.
  virtual absl::StatusOr<Message> Next() = 0;
};

// Opens a stream, and opens it again whenever the agent goes away: killed,
// upgraded, restarted. Says so on stderr, once each time.
class StreamFollower {
 public:
  explicit StreamFollower(const Globals& globals) : globals_(globals) {}

  template <typename Message>
  using Open =
      std::function<absl::StatusOr<std::unique_ptr<Stream<Message>>>(Client&)>;

  // Calls `open` for every connection, to ask for what comes after the last
  // message that `take` got. Flushes stdout after each message. Returns only
  // what trying again cannot mend: the agent's refusal, an agent that is not
  // trusted, or no agent at the first attempt (of all calls of Follow);
  // kCancelled when nobody reads our output.
  template <typename Message>
  absl::Status Follow(const Open<Message>& open,
                      const std::function<void(const Message&)>& take) {
    for (;;) {
      absl::StatusOr<std::unique_ptr<Client>> client = Connect();
      if (!client.ok()) return client.status();
      const absl::StatusOr<std::unique_ptr<Stream<Message>>> stream =
          open(**client);
      const absl::Status end =
          stream.ok() ? Drain(**stream, take) : stream.status();
      if (!absl::IsUnavailable(end)) return end;
      SayItIsGone();
    }
  }

 private:
  template <typename Message>
  absl::Status Drain(Stream<Message>& stream,
                     const std::function<void(const Message&)>& take) {
    for (;;) {
      const absl::StatusOr<Message> message = stream.Next();
      if (!message.ok()) return message.status();
      SayItIsBack();
      take(*message);
      if (const absl::Status status = FlushOutput(); !status.ok()) {
        return status;
      }
    }
  }

  // Tries until an agent answers; after the first success also when nobody
  // does.
  absl::StatusOr<std::unique_ptr<Client>> Connect();
  static absl::Status FlushOutput();
  void SayItIsGone();
  void SayItIsBack();

  const Globals& globals_;
  bool was_connected_ = false;
  bool is_gone_ = false;
  absl::Duration backoff_;
};

}  // namespace apm::ctl
