#include "agent/logs/worker_log.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include "base/log/log.h"
#include "base/os/errno_status.h"

namespace apm::logs {
namespace {

uint64_t CountLines(std::string_view text) {
  return static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

void WorkerLog::SetPolicy(const LogPolicy& policy) {
  Write();  // In the old format.
  format_ = policy.format;
  writer_.SetPolicy(policy.rotation);
  if (policy.rate != limiter_.limit()) limiter_ = RateLimiter(policy.rate);
}

void WorkerLog::Begin(Moment now, Stream stream, uint32_t instance) {
  instance_ = instance;
  ReportDropped(now);
  prefix_ = FormatPrefix(now.time, stream, instance, format_);
}

void WorkerLog::Add(std::string_view line) {
  if (!limiter_.Admit(now_.monotonic)) {
    ++stats_.dropped_lines;
    return;
  }
  AppendLine(prefix_, line, format_, batch_);
  if (batch_.size() >= kMaxBatchBytes) Write();
}

void WorkerLog::ReportDropped(Moment now) {
  now_ = now;
  const uint64_t dropped = limiter_.TakeDropped(now.monotonic);
  if (dropped == 0) return;
  batch_ += Notice(dropped,
                   absl::StrFormat("more than %d in %s", limiter_.limit().lines,
                                   absl::FormatDuration(limiter_.limit().per)));
}

std::string WorkerLog::Notice(uint64_t lines, std::string_view why) const {
  return FormatLine({now_.time, Stream::kErr, instance_,
                     absl::StrFormat("[apm] %d line%s dropped: %s", lines,
                                     lines == 1 ? "" : "s", why)},
                    format_);
}

void WorkerLog::Write() {
  if (batch_.empty()) return;
  if (lost_ > 0 && !ReportLost()) {
    Lose(CountLines(batch_));
  } else {
    const std::string_view batch = batch_;
    const size_t written = writer_.Append(batch, now_.time);
    stats_.lines += CountLines(batch.substr(0, written));
    stats_.bytes += written;
    if (written < batch.size()) Lose(CountLines(batch.substr(written)));
  }
  batch_.clear();
}

bool WorkerLog::ReportLost() {
  const std::string notice = Notice(lost_, ErrnoText(writer_.error()));
  const size_t written = writer_.Append(notice, now_.time);
  stats_.bytes += written;
  if (written < notice.size()) return false;
  lost_ = 0;
  return true;
}

void WorkerLog::Lose(uint64_t lines) {
  if (lost_ == 0) {
    log::Warning(
        "worker '%s': write its log '%s': %s; its lines are dropped and "
        "counted until that works again",
        worker_, path_, ErrnoText(writer_.error()));
  }
  lost_ += lines;
  stats_.dropped_lines += lines;
}

}  // namespace apm::logs
