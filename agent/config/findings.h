// Collects the problems of one configuration while it is read, and knows which
// block each is in: that is what a worker is disabled by.

#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/config/diagnostic.h"
#include "agent/config/source_text.h"

namespace apm::config {

// The ordinal of a worker block; 0 is everything outside of them.
using BlockId = int;

class Findings {
 public:
  explicit Findings(const SourceTexts& texts) : texts_(texts) {}

  // What is reported from now on is in `block`.
  void EnterBlock(BlockId block) { block_ = block; }

  void Error(const Span& span, std::string message, std::string hint = "") {
    Report(Severity::kError, span, std::move(message), std::move(hint));
  }
  void Warning(const Span& span, std::string message, std::string hint = "") {
    Report(Severity::kWarning, span, std::move(message), std::move(hint));
  }
  // A file that cannot be read at all: no line to show.
  void FileError(const std::string& path, std::string message);

  bool HasErrors(BlockId block) const {
    return blocks_in_error_.contains(block);
  }
  void NameBlock(BlockId block, std::string name);

  // Everything, in the order of the files and lines.
  std::vector<Diagnostic> Take();

 private:
  struct Finding {
    Diagnostic diagnostic;
    BlockId block;
    int file;
    size_t offset;
  };

  void Report(Severity severity, const Span& span, std::string message,
              std::string hint);

  const SourceTexts& texts_;
  BlockId block_ = 0;
  std::vector<Finding> findings_;
  size_t not_kept_ = 0;
  std::set<BlockId> blocks_in_error_;
  std::map<BlockId, std::string> names_;
};

}  // namespace apm::config
