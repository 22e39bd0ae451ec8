// Says what happens: to the log, for whoever reads along, and to the event
// log, for whoever asks later.
//
// A crash event carries the last words of the process, which the log thread
// may still be reading. It waits for them, briefly, and what happened after it
// waits behind it, so that the order is that of the facts. They are asked for
// before another process is started in its place, whose words are not the last
// ones of this.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/time/time.h>

#include "agent/events/event_log.h"
#include "agent/logs/log_store.h"
#include "agent/supervisor/instance_key.h"
#include "agent/supervisor/process_exit.h"
#include "agent/supervisor/transition_table.h"
#include "base/os/event_loop.h"

namespace apm::agent {

// Thread: the main loop's.
class EventWriter {
 public:
  // How long an event waits for the last words of a process.
  static constexpr absl::Duration kTailPatience = absl::Milliseconds(250);

  // All outlive the writer.
  EventWriter(EventLoop& loop, logs::LogStore& logs, events::EventLog& events)
      : loop_(loop), logs_(logs), events_(events) {}
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;
  ~EventWriter();

  // The process has ended; before anybody acts on it.
  void OnExited(const supervisor::InstanceKey& key);

  struct StateChange {
    const supervisor::InstanceKey& key;
    supervisor::InstanceState from;
    supervisor::InstanceState to;
    std::string_view reason;
    pid_t pid = 0;
    const supervisor::ProcessExit* exit = nullptr;  // What led to it, if any.
    bool crash = false;  // Nobody told it to end: its last words are added.
  };
  void OnStateChange(const StateChange& change);

  // Of the node itself where `worker` is empty. `type` is one of
  // events/event.h.
  void Say(std::string_view type, events::Severity severity,
           std::string_view worker, std::string text);

  // Appends what still waits, without last words.
  void Flush();

 private:
  struct LastWords {
    supervisor::InstanceKey of;
    std::optional<std::vector<std::string>> lines;
  };
  struct Waiting {
    events::Event event;
    std::shared_ptr<const LastWords> last_words;  // Null: it needs none.
  };

  void Add(events::Event event, std::shared_ptr<const LastWords> last_words);
  void Release();
  void Log(const events::Event& event);

  EventLoop& loop_;
  logs::LogStore& logs_;
  events::EventLog& events_;
  std::deque<Waiting> waiting_;  // In the order of the facts.
  // Of the process that has ended last. Shared with the log thread's answer,
  // and with the events that wait for it.
  std::shared_ptr<const LastWords> last_words_;
  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);
};

}  // namespace apm::agent
