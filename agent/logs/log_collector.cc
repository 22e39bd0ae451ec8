// A turn of the loop reads each pipe that has something once, puts the lines
// into their worker's batch, and writes each batch at its end: many small
// prints become one write, and no chatty worker holds up another for longer
// than one read.

#include "agent/logs/log_collector.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace apm::logs {
namespace {

constexpr size_t kReadBytes = size_t{64} << 10;  // A pipe's usual capacity.
constexpr int kMaxReadsOfDrain = 16;  // Bounds Flush: somebody may go on.

}  // namespace

LogCollector::LogCollector(EventLoop& loop, std::string folder,
                           WriteFunction write)
    : loop_(loop),
      folder_(std::move(folder)),
      write_(std::move(write)),
      buffer_(kReadBytes) {}

LogCollector::~LogCollector() {
  for (const auto& [fd, source] : sources_) loop_.Remove(fd);
}

void LogCollector::AddStream(std::string worker, uint32_t instance,
                             Stream stream, UniqueFd read_end) {
  const int fd = read_end.get();
  // Flush reads without having been told that there is something.
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  if (!loop_.Add(fd, EPOLLIN, [this, fd](uint32_t) { Read(fd); }).ok()) return;
  if (!logs_.contains(worker)) {
    logs_.emplace(worker, WorkerLog(LogWriter(Path(worker), write_)));
  }
  {
    const std::lock_guard lock(views_mutex_);
    views_.try_emplace(worker);
  }
  sources_.emplace(fd, Source{std::move(worker), instance, stream,
                              std::move(read_end), LineSplitter()});
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
    WriteBatch(worker, log->second);
    logs_.erase(log);
  }
  const std::lock_guard lock(views_mutex_);
  views_.erase(worker);
}

void LogCollector::Flush() {
  std::vector<int> fds;
  for (const auto& [fd, source] : sources_) fds.push_back(fd);
  for (const int fd : fds) Drain(fd);
  WriteBatches();
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
  loop_.Remove(fd);
  sources_.erase(source);
}

LineSplitter::Sink LogCollector::SinkOf(const Source& source) {
  if (!std::exchange(write_pending_, true)) {
    loop_.AtEndOfTurn([this] { WriteBatches(); });
  }
  WorkerLog& log = logs_.at(source.worker);
  std::string prefix =
      FormatPrefix(clock_.Now(), source.stream, source.instance);
  return
      [this, &source, &log, prefix = std::move(prefix)](std::string_view line) {
        log.batch += prefix;
        log.batch += line;
        log.batch += '\n';
        if (log.batch.size() >= kMaxBatchBytes) WriteBatch(source.worker, log);
        if (source.stream != Stream::kErr) return;
        const std::lock_guard lock(views_mutex_);
        std::deque<std::string>& recent =
            views_[source.worker].recent_errors[source.instance];
        if (recent.size() == kRecentErrorLines) recent.pop_front();
        recent.emplace_back(line.substr(0, kRecentErrorBytes));
      };
}

void LogCollector::WriteBatches() {
  write_pending_ = false;
  for (auto& [worker, log] : logs_) WriteBatch(worker, log);
}

void LogCollector::WriteBatch(const std::string& worker, WorkerLog& log) {
  if (log.batch.empty()) return;
  const size_t written = log.writer.Append(log.batch);
  const auto end = log.batch.begin() + static_cast<ptrdiff_t>(written);
  const auto lines =
      static_cast<uint64_t>(std::count(log.batch.begin(), end, '\n'));
  const auto dropped =
      static_cast<uint64_t>(std::count(end, log.batch.end(), '\n'));
  log.batch.clear();
  const std::lock_guard lock(views_mutex_);
  for (LogStats* stats : {&views_[worker].stats, &total_}) {
    stats->lines += lines;
    stats->bytes += written;
    stats->dropped_lines += dropped;
  }
}

std::string LogCollector::Path(std::string_view worker) const {
  return folder_ + "/" + std::string(worker) + ".log";
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
