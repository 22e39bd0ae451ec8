// A turn of the loop reads each pipe that has something once, puts the lines
// into their worker's batch, and writes each batch at its end: many small
// prints become one write, and no chatty worker holds up another for longer
// than one read.
//
// So an agent that is killed loses, of each stream, what it read in that turn
// (at most kReadBytes) and a line whose newline had not come: that line's rest
// will stand in the log without its beginning.

#include "agent/logs/log_collector.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/time/time.h>

#include "agent/logs/log_reader.h"
#include "base/log/log.h"

namespace apm::logs {
namespace {

constexpr size_t kReadBytes = size_t{64} << 10;  // A pipe's usual capacity.
constexpr int kMaxReadsOfDrain = 16;  // Bounds Flush: somebody may go on.

// How far back the errors of an adopted process are looked for.
constexpr size_t kRecallBytes = size_t{1} << 20;

}  // namespace

LogCollector::LogCollector(EventLoop& loop, std::string folder,
                           WriteFunction write, std::shared_ptr<LogFeed> feed)
    : loop_(loop),
      folder_(std::move(folder)),
      write_(std::move(write)),
      feed_(std::move(feed)),
      buffer_(kReadBytes) {}

LogCollector::~LogCollector() {
  for (const auto& [fd, source] : sources_) loop_.Remove(fd);
  loop_.Cancel(report_timer_);
}

WorkerLog& LogCollector::LogOf(const std::string& worker) {
  const auto [log, is_new] =
      logs_.try_emplace(worker, worker, Path(worker), write_,
                        [this, worker](const LogFilePtr& file, uint64_t offset,
                                       std::string_view bytes) {
                          feed_->OnWritten(worker, file, offset, bytes);
                        });
  if (is_new) {
    const std::lock_guard lock(views_mutex_);
    views_.try_emplace(worker);
  }
  return log->second;
}

WorkerLog::Moment LogCollector::Now() const {
  return {clock_.Now(), clock_.Monotonic()};
}

void LogCollector::Configure(const std::string& worker,
                             const LogPolicy& policy) {
  LogOf(worker).SetPolicy(policy);
}

void LogCollector::AddStream(const std::string& worker, uint32_t instance,
                             Stream stream, UniqueFd read_end, Origin origin) {
  const int fd = read_end.get();
  // Flush reads without having been told that there is something.
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  const absl::Status added =
      loop_.Add(fd, EPOLLIN, [this, fd](uint32_t) { Read(fd); });
  if (!added.ok()) {
    log::Error("worker '%s/%d': collect its output: %s", worker, instance,
               added.message());
    return;
  }
  LogOf(worker);
  if (origin == Origin::kAdopted && stream == Stream::kErr) {
    RecallErrors(worker, instance);
  }
  sources_.emplace(fd, Source{worker, instance, stream, std::move(read_end),
                              LineSplitter()});
}

void LogCollector::RemoveWorker(const std::string& worker) {
  std::vector<int> fds;
  for (const auto& [fd, source] : sources_) {
    if (source.worker == worker) fds.push_back(fd);
  }
  for (const int fd : fds) {
    Drain(fd);
    Close(fd);
  }
  const auto log = logs_.find(worker);
  if (log != logs_.end()) {
    Write(worker, log->second);
    logs_.erase(log);
  }
  const std::lock_guard lock(views_mutex_);
  views_.erase(worker);
}

void LogCollector::Flush(std::string_view worker) {
  std::vector<int> fds;
  for (const auto& [fd, source] : sources_) {
    if (source.worker == worker) fds.push_back(fd);
  }
  for (const int fd : fds) Drain(fd);
  WriteAll();
}

void LogCollector::FlushAll() {
  std::vector<int> fds;
  for (const auto& [fd, source] : sources_) fds.push_back(fd);
  for (const int fd : fds) Drain(fd);
  WriteAll();
}

void LogCollector::Drain(int fd) {
  for (int reads = 0; reads < kMaxReadsOfDrain && Read(fd); ++reads) {
  }
}

bool LogCollector::Read(int fd) {
  const auto found = sources_.find(fd);
  if (found == sources_.end()) return false;
  Source& source = found->second;
  const ssize_t n = read(fd, buffer_.data(), buffer_.size());
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (n <= 0) {
    Close(fd);
    return false;
  }
  source.splitter.Append({buffer_.data(), static_cast<size_t>(n)},
                         SinkOf(source));
  return true;
}

void LogCollector::Close(int fd) {
  const auto source = sources_.find(fd);
  if (source == sources_.end()) return;
  source->second.splitter.Finish(SinkOf(source->second));
  loop_.Remove(fd);  // First: the keeper has a duplicate.
  sources_.erase(source);
}

LineSplitter::Sink LogCollector::SinkOf(const Source& source) {
  WriteAtEndOfTurn();
  WorkerLog& log = logs_.at(source.worker);
  log.Begin(Now(), source.stream, source.instance);
  return [this, &source, &log](std::string_view line) {
    if (source.stream == Stream::kErr) Remember(source, line);
    log.Add(line);
  };
}

// ---- Recent errors ----

void LogCollector::Remember(const Source& source, std::string_view line) {
  const std::lock_guard lock(views_mutex_);
  RecentErrorLines& recent =
      views_[source.worker].recent_errors[source.instance];
  if (recent.size() == kRecentErrorLines) recent.pop_front();
  recent.emplace_back(line.substr(0, kRecentErrorBytes));
}

void LogCollector::RecallErrors(const std::string& worker, uint32_t instance) {
  const auto lines =
      ReadLast(Path(worker),
               {.count = kRecentErrorLines,
                .filter = {.instances = {instance}, .stream = Stream::kErr},
                .scan_bytes = kRecallBytes});
  if (!lines.ok()) return;  // No log, no errors.
  const std::lock_guard lock(views_mutex_);
  RecentErrorLines& recent = views_[worker].recent_errors[instance];
  if (!recent.empty()) return;
  for (const LogLine& line : *lines) {
    recent.push_back(line.text.substr(0, kRecentErrorBytes));
  }
}

std::vector<std::string> LogCollector::RecentErrors(std::string_view worker,
                                                    uint32_t instance) const {
  const std::lock_guard lock(views_mutex_);
  const auto view = views_.find(worker);
  if (view == views_.end()) return {};
  const auto recent = view->second.recent_errors.find(instance);
  if (recent == view->second.recent_errors.end()) return {};
  return {recent->second.begin(), recent->second.end()};
}

// ---- Writing ----

void LogCollector::WriteAtEndOfTurn() {
  if (std::exchange(write_pending_, true)) return;
  loop_.AtEndOfTurn([this] { WriteAll(); });
}

void LogCollector::WriteAll() {
  write_pending_ = false;
  for (auto& [worker, log] : logs_) Write(worker, log);
  PlanReports();
}

void LogCollector::Write(const std::string& worker, WorkerLog& log) {
  log.Write();
  const LogStats news = log.TakeStats();
  if (news == LogStats()) return;
  const std::lock_guard lock(views_mutex_);
  views_[worker].stats += news;
  total_ += news;
}

void LogCollector::PlanReports() {
  if (report_timer_ != kNoTimer) return;
  absl::Duration at = absl::InfiniteDuration();
  for (const auto& [worker, log] : logs_) at = std::min(at, log.report_at());
  if (at == absl::InfiniteDuration()) return;
  report_timer_ = loop_.RunAfter(at - clock_.Monotonic(), [this] {
    report_timer_ = kNoTimer;
    ReportDropped();
  });
}

void LogCollector::ReportDropped() {
  for (auto& [worker, log] : logs_) {
    if (log.report_at() < absl::InfiniteDuration()) log.ReportDropped(Now());
  }
  WriteAll();
}

std::string LogCollector::Path(std::string_view worker) const {
  return folder_ + "/" + std::string(worker) + ".log";
}

LogStats LogCollector::Stats() const {
  const std::lock_guard lock(views_mutex_);
  return total_;
}

LogStats LogCollector::Stats(std::string_view worker) const {
  const std::lock_guard lock(views_mutex_);
  const auto view = views_.find(worker);
  return view == views_.end() ? LogStats{} : view->second.stats;
}

}  // namespace apm::logs
