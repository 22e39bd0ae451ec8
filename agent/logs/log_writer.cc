#include "agent/logs/log_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <string_view>

namespace apm::logs {

ssize_t SystemWrite(int fd, const char* data, size_t size) {
  return write(fd, data, size);
}

bool LogWriter::Open() {
  if (file_) return true;
  file_.Reset(open(path_.c_str(),
                   O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                   0640));
  return static_cast<bool>(file_);
}

size_t LogWriter::WriteAll(std::string_view bytes) {
  size_t written = 0;
  while (written < bytes.size()) {
    const ssize_t n =
        write_(file_.get(), bytes.data() + written, bytes.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    written += static_cast<size_t>(n);
  }
  return written;
}

size_t LogWriter::Append(std::string_view batch) {
  if (batch.empty() || !Open()) return 0;
  if (torn_) {
    if (WriteAll("\n") == 0) return 0;
    torn_ = false;
  }
  const size_t written = WriteAll(batch);
  torn_ = written > 0 && batch[written - 1] != '\n';
  // Perhaps the file is gone or its disk read-only: a fresh start next time.
  if (written < batch.size()) file_.Reset();
  return written;
}

}  // namespace apm::logs
