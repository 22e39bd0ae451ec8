#include "agent/logs/log_feed.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace apm::logs {

LogSubscription::News LogSubscription::Take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(news_, {});
}

bool LogSubscription::Hold() {
  const std::lock_guard lock(mutex_);
  if (held_ >= kMaxBacklogFiles) return false;
  ++held_;
  return true;
}

void LogSubscription::Release() {
  const std::lock_guard lock(mutex_);
  --held_;
}

void LogSubscription::OnWritten(const std::string& worker,
                                const LogFilePtr& file, uint64_t offset,
                                std::string_view bytes) {
  if (workers_ && !workers_->contains(worker)) return;
  const std::lock_guard lock(mutex_);
  Worker& given = given_[worker];
  const bool is_new = given.current.lock() != file;
  // The last file of each worker is no backlog.
  if (is_new && held_ >= kMaxBacklogFiles + given_.size()) {
    given.current.reset();
    given.missed +=
        static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
    return;
  }
  const bool first = news_.empty();
  auto& files = news_[worker];
  if (is_new) {
    files.push_back({file, offset, std::exchange(given.missed, 0)});
    given.current = file;
    ++held_;
  }
  if (first) wake_();
}

void LogFeed::Subscribe(std::shared_ptr<LogSubscription> subscription) {
  const std::lock_guard lock(mutex_);
  subscriptions_.push_back(std::move(subscription));
}

void LogFeed::Cancel(const LogSubscription* subscription) {
  const std::lock_guard lock(mutex_);
  std::erase_if(subscriptions_, [subscription](const auto& other) {
    return other.get() == subscription;
  });
}

void LogFeed::OnWritten(const std::string& worker, const LogFilePtr& file,
                        uint64_t offset, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  for (const auto& subscription : subscriptions_) {
    subscription->OnWritten(worker, file, offset, bytes);
  }
}

}  // namespace apm::logs
