#include "proxy/upstream/stray_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <string_view>
#include <utility>

#include <absl/status/status.h>

namespace apm::upstream {

StrayPipe::StrayPipe(EventLoop& loop, UniqueFd pipe) : loop_(loop) {
  Use(std::move(pipe));
}

void StrayPipe::Use(UniqueFd pipe) {
  Watch(false);
  pipe_ = std::move(pipe);
  fcntl(pipe_.get(), F_SETFL, fcntl(pipe_.get(), F_GETFL) | O_NONBLOCK);
  Flush();
}

StrayPipe::~StrayPipe() {
  if (!partial_.empty()) Write("\n");
  Flush();
  Watch(false);
}

size_t StrayPipe::Write(std::string_view bytes) {
  size_t dropped = 0;
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const bool whole = newline != std::string_view::npos;
    std::string_view part = bytes.substr(0, whole ? newline + 1 : newline);
    bytes.remove_prefix(part.size());
    if (partial_.size() + part.size() > kMaxStrayBytes) {
      dropped += part.size();  // The tail of a line that is too long.
      part = whole ? std::string_view("\n") : std::string_view();
    }
    partial_.append(part);
    if (!whole) continue;
    dropped += Keep(partial_);
    partial_.clear();
  }
  Flush();
  return dropped;
}

size_t StrayPipe::WriteLine(std::string_view line) {
  size_t dropped = 0;
  if (line.size() > kMaxStrayBytes) {
    dropped = line.size() - kMaxStrayBytes;  // The tail, as of any long line.
    dropped += Keep(std::string(line.substr(0, kMaxStrayBytes - 1)) + "\n");
  } else {
    dropped = Keep(line);
  }
  Flush();
  return dropped;
}

size_t StrayPipe::Keep(std::string_view line) {
  if (lines_.size() + line.size() > kMaxStrayBytes) Flush();
  if (lines_.size() + line.size() > kMaxStrayBytes + 1) return line.size();
  lines_.append(line);
  return 0;
}

void StrayPipe::Flush() {
  std::string_view left = lines_;
  while (!left.empty()) {
    const ssize_t written = write(pipe_.get(), left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) break;
    if (written <= 0) {
      left = {};  // Nobody reads any more.
      break;
    }
    left.remove_prefix(static_cast<size_t>(written));
  }
  lines_.erase(0, lines_.size() - left.size());
  Watch(!lines_.empty());
}

void StrayPipe::Watch(bool on) {
  if (on == watched_) return;
  watched_ = on;
  if (!on) {
    loop_.Remove(pipe_.get());
    return;
  }
  // A regular file cannot be watched, and never says EAGAIN.
  watched_ =
      loop_.Add(pipe_.get(), EPOLLOUT, [this](uint32_t) { Flush(); }).ok();
}

}  // namespace apm::upstream
