// A rotation must survive being cut off at each of its steps, and being tried
// again and again where it cannot succeed. So old files move only up to the
// first free name: what a failed attempt left empty is used by the next one,
// and no further file is pushed over the end.

#include "agent/logs/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/strings/str_format.h>
#include <absl/time/time.h>

#include "agent/logs/log_line.h"
#include "base/log/log.h"
#include "base/os/errno_status.h"
#include "base/os/unique_fd.h"

namespace apm::logs {
namespace {

// After a failed rotation the next one is tried when the file has grown by
// this part of its limit.
constexpr uint64_t kRetryPart = 4;

bool Exists(const std::string& path) {
  struct stat status {};
  return lstat(path.c_str(), &status) == 0;
}

// When the file's first line was written; `otherwise` if that is not to be
// seen in it.
absl::Time FirstTime(int fd, absl::Time otherwise) {
  char head[kTimeEnd];
  const ssize_t n = pread(fd, head, sizeof(head), 0);
  if (n <= 0) return otherwise;
  return ParseTime({head, static_cast<size_t>(n)}).value_or(otherwise);
}

bool EndsWithinLine(int fd, uint64_t size) {
  char last = '\n';
  return size > 0 && pread(fd, &last, 1, static_cast<off_t>(size - 1)) == 1 &&
         last != '\n';
}

}  // namespace

ssize_t SystemWrite(int fd, const char* data, size_t size) {
  return write(fd, data, size);
}

void LogWriter::SetPolicy(RotationPolicy policy) {
  policy_ = policy;
  rotate_at_ = policy.max_bytes;
}

bool LogWriter::Open(absl::Time now, uint64_t previous) {
  // Readable too: followers read through this very descriptor.
  UniqueFd fd(open(path_.c_str(),
                   O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW |
                       O_NONBLOCK | O_NOCTTY,
                   0640));
  struct stat status {};
  if (!fd || fstat(fd.get(), &status) != 0) {
    error_ = errno;
    return false;
  }
  if (!S_ISREG(status.st_mode)) {
    error_ = EINVAL;
    return false;
  }
  size_ = static_cast<uint64_t>(status.st_size);
  age_from_ = FirstTime(fd.get(), now);
  // By a full disk, or by an agent that was killed in the middle of a write.
  torn_ = EndsWithinLine(fd.get(), size_);
  rotate_at_ = policy_.max_bytes;
  file_ = std::make_shared<const LogFile>(
      LogFile{std::move(fd), status.st_ino, previous});
  return true;
}

bool LogWriter::Refresh(absl::Time now) {
  struct stat status {};
  if (file_ && fstat(file_->fd.get(), &status) == 0 && status.st_nlink > 0) {
    size_ = static_cast<uint64_t>(status.st_size);
    return true;
  }
  return Open(now);
}

size_t LogWriter::WriteAll(std::string_view bytes) {
  size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t n =
        write_(file_->fd.get(), bytes.data() + written, bytes.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      error_ = errno;
      break;
    }
    written += static_cast<size_t>(n);
  }
  if (written > 0 && on_written_) {
    on_written_(file_, size_, bytes.substr(0, written));
  }
  size_ += written;
  return written;
}

bool LogWriter::IsDue(absl::Time now) const {
  return size_ > 0 &&
         (size_ >= rotate_at_ || now - age_from_ >= policy_.max_age);
}

size_t LogWriter::FitOf(std::string_view batch) const {
  const uint64_t room = rotate_at_ > size_ ? rotate_at_ - size_ : 0;
  if (batch.size() <= room) return batch.size();
  const size_t newline = batch.substr(0, static_cast<size_t>(room)).rfind('\n');
  if (newline != std::string_view::npos) return newline + 1;
  // A line that is larger than a whole file has one of its own.
  return size_ > 0 ? 0 : batch.find('\n') + 1;
}

size_t LogWriter::Append(std::string_view batch, absl::Time now) {
  if (batch.empty() || !Refresh(now)) return 0;
  if (torn_) {
    if (WriteAll("\n") == 0) return 0;
    torn_ = false;
  }
  size_t total = 0;
  while (total < batch.size()) {
    const std::string_view rest = batch.substr(total);
    size_t fit = IsDue(now) ? 0 : FitOf(rest);
    if (fit == 0) {
      Rotate(now);
      fit = FitOf(rest);
      // Not rotated: its retry is further on, but not by this line.
      if (fit == 0) fit = rest.find('\n') + 1;
    }
    const size_t written = WriteAll(rest.substr(0, fit));
    total += written;
    if (written < fit) {
      // Perhaps the file is gone or its disk read-only: a fresh start next
      // time.
      file_.reset();
      break;
    }
  }
  return total;
}

void LogWriter::Rotate(absl::Time now) {
  absl::Status status = MoveAway();
  if (status.ok()) {
    const LogFilePtr old = std::exchange(file_, nullptr);
    if (Open(now, old->inode)) {
      rotation_failed_ = false;
      return;
    }
    status = ErrnoStatus(error_, "create a new file");
    file_ = old;
  }
  rotate_at_ = size_ + std::max<uint64_t>(policy_.max_bytes / kRetryPart, 1);
  age_from_ = now;
  if (std::exchange(rotation_failed_, true)) return;
  log::Warning("rotate the log '%s': %s; it grows on", path_, status.message());
}

absl::Status LogWriter::MoveAway() {
  struct stat status {};
  if (lstat(path_.c_str(), &status) != 0 || status.st_ino != file_->inode) {
    // Moved already, by an attempt that could not create the new file or by
    // somebody else.
    return absl::OkStatus();
  }
  if (policy_.keep == 0) {
    if (unlink(path_.c_str()) == 0) return absl::OkStatus();
    return ErrnoStatus(errno, "remove it");
  }
  int last = 1;
  while (last < policy_.keep && Exists(RotatedName(path_, last))) ++last;
  for (int number = last; number > 0; --number) {
    const std::string to = RotatedName(path_, number);
    if (rename(RotatedName(path_, number - 1).c_str(), to.c_str()) != 0) {
      return ErrnoStatus(errno, absl::StrFormat("rename to '%s'", to));
    }
  }
  // More were kept once.
  for (int number = policy_.keep + 1;
       number <= kMaxKeptFiles &&
       unlink(RotatedName(path_, number).c_str()) == 0;
       ++number) {
  }
  return absl::OkStatus();
}

}  // namespace apm::logs
