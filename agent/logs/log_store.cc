#include "agent/logs/log_store.h"

#include <errno.h>
#include <pthread.h>
#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include "agent/logs/log_collector.h"
#include "base/os/errno_status.h"
#include "base/status/status_macros.h"

namespace apm::logs {

absl::StatusOr<std::unique_ptr<LogStore>> LogStore::Create(
    std::string folder, WriteFunction write) {
  if (mkdir(folder.c_str(), 0750) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno,
                       absl::StrFormat("create the log folder '%s'", folder));
  }
  APM_ASSIGN_OR_RETURN(std::unique_ptr<EventLoop> loop, EventLoop::Create());
  return std::unique_ptr<LogStore>(
      new LogStore(std::move(folder), std::move(loop), std::move(write)));
}

LogStore::LogStore(std::string folder, std::unique_ptr<EventLoop> loop,
                   WriteFunction write)
    : feed_(std::make_shared<LogFeed>()),
      loop_(std::move(loop)),
      collector_(std::make_unique<LogCollector>(*loop_, std::move(folder),
                                                std::move(write), feed_)),
      thread_([this] {
        pthread_setname_np(pthread_self(), "apm-logs");
        loop_->Run();
      }) {}

LogStore::~LogStore() {
  loop_->Post([this] {
    collector_->FlushAll();
    loop_->Stop();
  });
  thread_.join();
}

void LogStore::Configure(std::string worker, LogPolicy policy) {
  loop_->Post([this, worker = std::move(worker), policy] {
    collector_->Configure(worker, policy);
  });
}

void LogStore::AddStream(std::string worker, uint32_t instance, Stream stream,
                         UniqueFd read_end, Origin origin) {
  // A std::function has to be copyable, and a descriptor is not.
  auto fd = std::make_shared<UniqueFd>(std::move(read_end));
  loop_->Post([this, worker = std::move(worker), instance, stream, fd, origin] {
    collector_->AddStream(worker, instance, stream, std::move(*fd), origin);
  });
}

void LogStore::RemoveWorker(std::string worker) {
  loop_->Post(
      [this, worker = std::move(worker)] { collector_->RemoveWorker(worker); });
}

void LogStore::Flush(std::function<void()> done) {
  loop_->Post([this, done = std::move(done)] {
    collector_->FlushAll();
    done();
  });
}

std::vector<std::string> LogStore::RecentErrors(std::string_view worker,
                                                uint32_t instance) const {
  return collector_->RecentErrors(worker, instance);
}

void LogStore::RecentErrorsAfterFlush(
    EventLoop& loop, std::string worker, uint32_t instance,
    absl::Duration limit, std::function<void(std::vector<std::string>)> done) {
  // Whoever comes first, the log thread's answer or the timer, answers.
  struct Question {
    std::string worker;
    uint32_t instance;
    std::function<void(std::vector<std::string>)> done;  // Null: answered.
    TimerId timer = kNoTimer;
  };
  auto question = std::make_shared<Question>(
      Question{std::move(worker), instance, std::move(done)});
  const auto answer = [question, &loop](std::vector<std::string> errors) {
    if (!question->done) return;
    loop.Cancel(question->timer);
    std::exchange(question->done, nullptr)(std::move(errors));
  };
  question->timer = loop.RunAfter(limit, [this, question, answer] {
    answer(RecentErrors(question->worker, question->instance));
  });
  loop_->Post([this, question, answer, &loop] {
    collector_->Flush(question->worker);
    loop.Post(
        [answer, errors = RecentErrors(question->worker, question->instance)] {
          answer(errors);
        });
  });
}

LogStats LogStore::Stats() const { return collector_->Stats(); }

LogStats LogStore::Stats(std::string_view worker) const {
  return collector_->Stats(worker);
}

std::string LogStore::Path(std::string_view worker) const {
  return collector_->Path(worker);
}

}  // namespace apm::logs
