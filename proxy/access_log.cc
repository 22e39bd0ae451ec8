#include "proxy/access_log.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <string_view>

#include <absl/strings/str_format.h>
#include <absl/time/time.h>

namespace apm::proxy {
namespace {

void AppendQuoted(std::string_view text, std::string& out) {
  out += " \"";
  if (text.empty()) {
    out += '-';
  } else {
    AppendLogEscaped(text, out);
  }
  out += '"';
}

}  // namespace

void AppendLogEscaped(std::string_view text, std::string& out) {
  constexpr char kHex[] = "0123456789ABCDEF";
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\') {
      out += c;
      continue;
    }
    out += "\\x";
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
}

void AccessLog::AppendTime(time_t now) {
  if (now != formatted_second_) {
    formatted_second_ = now;
    tm local{};
    localtime_r(&now, &local);
    char text[64];
    const size_t size =
        strftime(text, sizeof text, "[%d/%b/%Y:%H:%M:%S %z]", &local);
    formatted_time_.assign(text, size);
  }
  lines_ += formatted_time_;
}

void AccessLog::Add(const AccessEntry& entry, time_t now) {
  AppendLogEscaped(entry.remote, lines_);
  lines_ += " - - ";
  AppendTime(now);
  AppendQuoted(entry.request_line, lines_);
  absl::StrAppendFormat(&lines_, " %d %d", entry.status, entry.body_bytes);
  AppendQuoted(entry.referer, lines_);
  AppendQuoted(entry.user_agent, lines_);
  absl::StrAppendFormat(&lines_, " %.3f\n", absl::ToDoubleSeconds(entry.took));
}

void AccessLog::Flush() {
  std::string_view left = lines_;
  while (!left.empty()) {
    const ssize_t written = write(file_.get(), left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    left.remove_prefix(static_cast<size_t>(written));
  }
  lines_.clear();
}

}  // namespace apm::proxy
