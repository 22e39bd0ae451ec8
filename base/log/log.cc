// spdlog behind four functions: its headers cost seconds a file, so that they
// are included here and nowhere else.

#include "base/log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <stdio.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace apm::log {
namespace {

// One write() a line: lines of several processes that share a file with
// O_APPEND do not mix.
class FdSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  FdSink(int fd, bool owned) : fd_(fd), owned_(owned) {}
  ~FdSink() override {
    if (owned_) close(fd_);
  }
  FdSink(const FdSink&) = delete;
  FdSink& operator=(const FdSink&) = delete;

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    // A full disk or a closed terminal must not stop the program.
    while (write(fd_, line.data(), line.size()) < 0 && errno == EINTR) {
    }
  }
  void flush_() override {}

 private:
  int fd_;
  bool owned_;
};

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
    case Level::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

std::shared_ptr<spdlog::logger> MakeLogger(int fd, bool owned,
                                           std::string_view program,
                                           Level level) {
  auto logger = std::make_shared<spdlog::logger>(
      std::string(program), std::make_shared<FdSink>(fd, owned));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %n[%P] %l: %v");
  logger->set_level(ToSpdlog(level));
  return logger;
}

std::shared_ptr<spdlog::logger>& Current() {
  static auto* const logger = new std::shared_ptr<spdlog::logger>(
      MakeLogger(STDERR_FILENO, /*owned=*/false, "apm", Level::kInfo));
  return *logger;
}

std::string Escape(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out.push_back(c);
    } else if (c == '\t') {
      out.append("\\t");
    } else if (c == '\n') {
      out.append("\\n");
    } else {
      out.append("\\x");
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
  return out;
}

}  // namespace

bool Open(const Options& options) {
  if (options.path == "-") {
    Current() = MakeLogger(STDERR_FILENO, /*owned=*/false, options.program,
                           options.level);
    return true;
  }
  const int fd =
      open(options.path.c_str(),
           O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
  if (fd < 0) return false;
  Current() = MakeLogger(fd, /*owned=*/true, options.program, options.level);
  return true;
}

void OpenFd(int fd, std::string_view program, Level level) {
  Current() = MakeLogger(fd, /*owned=*/false, program, level);
}

void SetLevel(Level level) { Current()->set_level(ToSpdlog(level)); }

bool Enabled(Level level) { return Current()->should_log(ToSpdlog(level)); }

void Write(Level level, std::string_view message) {
  const std::string line = Escape(message);
  Current()->log(ToSpdlog(level),
                 spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace apm::log
