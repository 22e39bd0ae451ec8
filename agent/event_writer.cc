#include "agent/event_writer.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/time/clock.h>

#include "base/log/log.h"

namespace apm::agent {
namespace {

using supervisor::InstanceState;

events::Severity SeverityOf(InstanceState to, bool crash) {
  switch (to) {
    case InstanceState::kCrashloop:
    case InstanceState::kFailed:
      return events::Severity::kError;
    case InstanceState::kBackoff:
    case InstanceState::kUnready:
      return events::Severity::kWarning;
    case InstanceState::kStopped:
    case InstanceState::kStarting:
    case InstanceState::kReady:
    case InstanceState::kStopping:
    case InstanceState::kExited:
      break;
  }
  return crash ? events::Severity::kWarning : events::Severity::kInfo;
}

events::Exit ToEvent(const supervisor::ProcessExit& exit) {
  events::Exit out;
  out.code = exit.code;
  out.signal = exit.signal;
  out.core_dumped = exit.core_dumped;
  out.max_rss_bytes = exit.max_rss_kb * 1024;
  out.cpu_ms = static_cast<uint64_t>(
      absl::ToInt64Milliseconds(exit.user_time + exit.system_time));
  return out;
}

}  // namespace

EventWriter::~EventWriter() { Flush(); }

void EventWriter::OnExited(const supervisor::InstanceKey& key) {
  auto last_words = std::make_shared<LastWords>(LastWords{key, std::nullopt});
  last_words_ = last_words;
  logs_.RecentErrorsAfterFlush(
      loop_, key.worker, key.instance, kTailPatience,
      [this, last_words,
       alive = std::weak_ptr(alive_)](std::vector<std::string> lines) {
        last_words->lines = std::move(lines);
        if (!alive.expired()) Release();
      });
}

void EventWriter::OnStateChange(const StateChange& change) {
  events::Event event;
  event.type = events::type::kWorkerState;
  event.severity = SeverityOf(change.to, change.crash);
  event.worker = change.key.worker;
  event.instance = change.key.instance;
  event.generation = change.key.generation;
  event.pid = change.pid;
  event.from_state = supervisor::Name(change.from);
  event.to_state = supervisor::Name(change.to);
  event.text = change.reason;
  if (change.exit != nullptr) event.exit = ToEvent(*change.exit);
  if (!change.crash) return Add(std::move(event), nullptr);
  if (last_words_ == nullptr || last_words_->of != change.key) {
    OnExited(change.key);
  }
  Add(std::move(event), last_words_);
}

void EventWriter::Say(std::string_view type, events::Severity severity,
                      std::string_view worker, std::string text) {
  events::Event event;
  event.type = type;
  event.severity = severity;
  event.worker = worker;
  event.text = std::move(text);
  Add(std::move(event), nullptr);
}

void EventWriter::Add(events::Event event,
                      std::shared_ptr<const LastWords> last_words) {
  event.time = absl::Now();
  Log(event);
  waiting_.push_back({std::move(event), std::move(last_words)});
  Release();
}

void EventWriter::Release() {
  while (!waiting_.empty()) {
    auto& [event, last_words] = waiting_.front();
    if (last_words != nullptr) {
      if (!last_words->lines) return;
      event.stderr_tail = *last_words->lines;
    }
    events_.Append(std::move(event));
    waiting_.pop_front();
  }
}

void EventWriter::Flush() {
  for (Waiting& waiting : waiting_) {
    if (waiting.last_words != nullptr && !waiting.last_words->lines) {
      waiting.last_words.reset();
    }
  }
  Release();
}

void EventWriter::Log(const events::Event& event) {
  std::string line;
  if (event.type == events::type::kWorkerState) {
    line = absl::StrFormat("worker '%s/%d': %s -> %s", event.worker,
                           event.instance, event.from_state, event.to_state);
    if (!event.text.empty()) absl::StrAppend(&line, ": ", event.text);
  } else if (!event.worker.empty() && !event.text.starts_with("worker '")) {
    line = absl::StrFormat("worker '%s': %s", event.worker, event.text);
  } else {
    line = event.text;
  }
  switch (event.severity) {
    case events::Severity::kInfo:
      log::Info("%s", line);
      return;
    case events::Severity::kWarning:
      log::Warning("%s", line);
      return;
    case events::Severity::kError:
      log::Error("%s", line);
      return;
  }
}

}  // namespace apm::agent
