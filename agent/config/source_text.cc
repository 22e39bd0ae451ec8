#include "agent/config/source_text.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/config/utf8.h"

namespace apm::config {
namespace {

// A file may be one line of a megabyte; a diagnostic shows this much of it.
constexpr size_t kMaxExcerptBytes = 160;
constexpr size_t kExcerptLead = 60;  // Bytes shown before the column, if cut.

}  // namespace

int SourceTexts::Add(std::string path, std::string text) {
  std::vector<size_t> line_starts = {0};
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\n') line_starts.push_back(i + 1);
  }
  files_.push_back(std::make_unique<const File>(
      File{std::move(path), std::move(text), std::move(line_starts)}));
  return static_cast<int>(files_.size()) - 1;
}

size_t SourceTexts::LineOf(const Span& span) const {
  const std::vector<size_t>& starts = files_[Index(span.file)]->line_starts;
  const auto after = std::upper_bound(starts.begin(), starts.end(), span.begin);
  return static_cast<size_t>(after - starts.begin());
}

Diagnostic SourceTexts::At(const Span& span) const {
  const File& file = *files_[Index(span.file)];
  Diagnostic diagnostic;
  diagnostic.file = file.path;
  diagnostic.line = LineOf(span);

  const size_t line_start = file.line_starts[diagnostic.line - 1];
  std::string_view raw = std::string_view(file.text).substr(line_start);
  raw = raw.substr(0, raw.find('\n'));
  if (raw.ends_with('\r')) raw.remove_suffix(1);
  const std::string printable = Printable(raw);
  const std::string_view line = printable;
  // A span may start at the end of a file that ends without a newline.
  const size_t at = std::min(span.begin - line_start, line.size());
  diagnostic.column = CountCharacters(line.substr(0, at)) + 1;

  size_t cut = 0;
  if (line.size() > kMaxExcerptBytes && at > kExcerptLead) {
    cut = at - kExcerptLead;
    while (cut < at && IsContinuation(line[cut])) ++cut;
  }
  std::string_view excerpt = line.substr(cut, kMaxExcerptBytes);
  while (!excerpt.empty() && cut + excerpt.size() < line.size() &&
         IsContinuation(line[cut + excerpt.size()])) {
    excerpt.remove_suffix(1);
  }
  diagnostic.excerpt = excerpt;
  diagnostic.caret = CountCharacters(excerpt.substr(0, at - cut)) + 1;
  diagnostic.length = std::max<size_t>(
      1, CountCharacters(excerpt.substr(at - cut).substr(0, span.size)));
  return diagnostic;
}

}  // namespace apm::config
