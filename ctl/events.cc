// apmctl events: what has happened, and with -f what happens.
//
// A listing is one or more pages. A follower's place is a cursor: when the
// agent is gone and back, he goes on from there, without a gap and without
// hearing anything twice.

#include <stdio.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/time/time.h>

#include "base/status/status_macros.h"
#include "ctl/client.h"
#include "ctl/commands.h"
#include "ctl/event_text.h"
#include "ctl/exit_code.h"
#include "ctl/json_output.h"
#include "ctl/printable.h"
#include "ctl/stream.h"

namespace apm::ctl {
namespace {

constexpr uint32_t kDefaultCount = 50;
constexpr uint32_t kPage = 1000;

using WatchStream = Stream<v1::WatchEventsResponse>;

void Print(const v1::Event& event, const Globals& globals) {
  const std::string text =
      globals.output == Output::kJson
          ? EventJson(event)
          : EventText(event, absl::LocalTimeZone(), globals.colors);
  fwrite(text.data(), 1, text.size(), stdout);
}

v1::EventCursor CursorOf(const EventPlace& place) {
  v1::EventCursor cursor;
  cursor.set_epoch(place.epoch);
  cursor.set_sequence(place.sequence);
  return cursor;
}

// What an error was about, without its advice.
std::string Reason(const absl::Status& status) {
  const std::string text(status.message());
  return text.substr(0, text.find(';'));
}

// The agent's advice is for those who watch; ours is for who typed.
absl::Status Advise(const absl::Status& status) {
  if (!absl::IsOutOfRange(status)) return status;
  return absl::OutOfRangeError(absl::StrCat(
      Reason(status), "; without --after the newest are shown: apmctl events"));
}

// ---- A listing ----

v1::ListEventsRequest NewestRequest(const EventsCommand& command) {
  v1::ListEventsRequest request;
  request.set_max(command.count.value_or(kDefaultCount));
  request.set_newest(true);
  request.mutable_workers()->Assign(command.names.begin(), command.names.end());
  return request;
}

// Prints what came after the cursor, page by page, up to `count`.
absl::StatusOr<uint32_t> PrintAfter(Client& client,
                                    const EventsCommand& command,
                                    const Globals& globals) {
  v1::ListEventsRequest request;
  *request.mutable_after() = CursorOf(*command.after);
  request.mutable_workers()->Assign(command.names.begin(), command.names.end());
  uint32_t printed = 0;
  for (;;) {
    const uint32_t wanted =
        command.count ? std::min(*command.count - printed, kPage) : kPage;
    if (wanted == 0) return printed;
    request.set_max(wanted);
    APM_ASSIGN_OR_RETURN(const v1::ListEventsResponse page,
                         client.ListEvents(request));
    for (const v1::Event& event : page.events()) Print(event, globals);
    printed += static_cast<uint32_t>(page.events_size());
    // Short pages may have more behind them; one without events has not.
    if (page.events().empty()) return printed;
    *request.mutable_after() = page.cursor();
  }
}

absl::StatusOr<uint32_t> PrintNewest(Client& client,
                                     const EventsCommand& command,
                                     const Globals& globals) {
  if (command.count == 0U) return 0;
  APM_ASSIGN_OR_RETURN(const v1::ListEventsResponse page,
                       client.ListEvents(NewestRequest(command)));
  for (const v1::Event& event : page.events()) Print(event, globals);
  return static_cast<uint32_t>(page.events_size());
}

ExitCode ListEvents(const EventsCommand& command, const Globals& globals) {
  const absl::StatusOr<std::unique_ptr<Client>> client =
      Client::Connect(globals);
  if (!client.ok()) return ReportError(client.status());
  const absl::StatusOr<uint32_t> printed =
      command.after ? PrintAfter(**client, command, globals)
                    : PrintNewest(**client, command, globals);
  if (!printed.ok()) return ReportError(Advise(printed.status()));
  if (*printed == 0 && globals.output == Output::kTable) {
    const std::string names = absl::StrJoin(command.names, ", ");
    printf("no events%s%s\n", names.empty() ? "" : " of ", names.c_str());
  }
  return ExitCode::kDone;
}

// ---- With -f ----

class Following {
 public:
  Following(const EventsCommand& command, const Globals& globals)
      : command_(command), globals_(globals), follower_(globals) {
    request_.mutable_workers()->Assign(command.names.begin(),
                                       command.names.end());
    if (command.after) *request_.mutable_after() = CursorOf(*command.after);
    next_is_newest_ = !command.after && command.count != 0U;
  }

  // Returns why it ended.
  absl::Status Run() {
    for (;;) {
      const absl::Status end = follower_.Follow<v1::WatchEventsResponse>(
          [this](Client& client) { return Open(client); },
          [this](const v1::WatchEventsResponse& message) { Take(message); });
      if (!absl::IsOutOfRange(end)) return end;
      fprintf(stderr,
              "apmctl: events were missed: %s; going on from the oldest that "
              "is kept\n",
              Printable(Reason(end)).c_str());
      request_.clear_after();
      next_is_oldest_ = true;
    }
  }

 private:
  absl::StatusOr<std::unique_ptr<WatchStream>> Open(Client& client) {
    if (next_is_newest_)
      APM_RETURN_IF_ERROR(List(client, NewestRequest(command_)));
    if (next_is_oldest_) APM_RETURN_IF_ERROR(List(client, OldestRequest()));
    return client.WatchEvents(request_);
  }

  // What a watch does not give: the time before it.
  absl::Status List(Client& client, const v1::ListEventsRequest& request) {
    APM_ASSIGN_OR_RETURN(const v1::ListEventsResponse page,
                         client.ListEvents(request));
    Take(page);
    next_is_newest_ = false;
    next_is_oldest_ = false;
    return absl::OkStatus();
  }

  // One is enough: the watch brings all that follow its cursor.
  v1::ListEventsRequest OldestRequest() const {
    v1::ListEventsRequest request;
    request.set_max(1);
    *request.mutable_workers() = request_.workers();
    return request;
  }

  template <typename Message>
  void Take(const Message& message) {
    for (const v1::Event& event : message.events()) Print(event, globals_);
    *request_.mutable_after() = message.cursor();
  }

  const EventsCommand& command_;
  const Globals& globals_;
  StreamFollower follower_;
  v1::WatchEventsRequest request_;  // With the place where we are.
  bool next_is_newest_ = false;
  bool next_is_oldest_ = false;
};

ExitCode FollowEvents(const EventsCommand& command, const Globals& globals) {
  const absl::Status end = Following(command, globals).Run();
  // Whoever read our output has had enough.
  if (absl::IsCancelled(end)) return ExitCode::kDone;
  return ReportError(end);
}

}  // namespace

ExitCode Run(const EventsCommand& command, const Globals& globals) {
  return command.follow ? FollowEvents(command, globals)
                        : ListEvents(command, globals);
}

}  // namespace apm::ctl
