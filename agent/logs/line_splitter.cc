#include "agent/logs/line_splitter.h"

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "agent/logs/log_line.h"

namespace apm::logs {

void LineSplitter::Append(std::string_view bytes, const Sink& sink) {
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    std::string_view part = bytes.substr(0, newline);
    bytes.remove_prefix(part.size());

    while (partial_.size() + part.size() > kMaxLineBytes) {
      const size_t fits = kMaxLineBytes - partial_.size();
      partial_.append(part.substr(0, fits));
      part.remove_prefix(fits);
      sink(partial_);
      partial_.clear();
    }
    if (newline == std::string_view::npos) {
      partial_.append(part);
      return;
    }
    bytes.remove_prefix(1);
    if (partial_.empty()) {
      sink(part);  // The usual case: no copy.
      continue;
    }
    partial_.append(part);
    sink(partial_);
    partial_.clear();
  }
}

void LineSplitter::Finish(const Sink& sink) {
  if (!partial_.empty()) sink(partial_);
  partial_.clear();
}

}  // namespace apm::logs
