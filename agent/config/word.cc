#include "agent/config/word.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/ascii.h>
#include <absl/strings/str_format.h>

namespace apm::config {
namespace {

// An expanded word must fit where it goes (execve(2) allows 128 KiB for one),
// and a file of "$PATH$PATH..." must not take memory without end.
constexpr size_t kMaxPartBytes = size_t{128} << 10;

bool EndsWord(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';' ||
         c == '{' || c == '}';
}

bool IsNameStart(char c) {
  return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_';
}

bool IsNamePart(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
}

// Position of the `quote` that closes the one before `at`, or npos if the line
// ends first.
size_t FindClosing(std::string_view text, size_t at, char quote) {
  for (; at < text.size() && text[at] != '\n'; ++at) {
    if (text[at] == quote) return at;
    const bool escapes = quote == '"' && text[at] == '\\';
    if (escapes && at + 1 < text.size() && text[at + 1] != '\n') ++at;
  }
  return std::string_view::npos;
}

WordExtent Unclosed(std::string_view text, size_t at, std::string_view what) {
  const std::string_view line = text.substr(0, text.find('\n'));
  size_t end = line.rfind(';');
  if (end == std::string_view::npos || end <= at) end = line.size();
  if (line.substr(0, end).ends_with('\r')) --end;
  return {end,
          WordProblem{at, what.size(),
                      absl::StrFormat("%s is not closed on this line", what),
                      "add the closing one, or put a backslash before it "
                      "if it is meant literally"}};
}

class WordReader {
 public:
  WordReader(std::string_view raw, WordRules rules, WordSplit split,
             const VariableLookup& variable, std::vector<WordProblem>& problems)
      : raw_(raw),
        rules_(rules),
        split_(split),
        variable_(variable),
        problems_(problems) {}

  std::vector<WordPart> Read() {
    while (at_ < raw_.size()) {
      const char c = raw_[at_];
      if (c == '\'') {
        ReadLiteral();
      } else if (c == '"') {
        quoted_ = true;
        in_quotes_ = !in_quotes_;
        ++at_;
      } else if (c == '\\') {
        ReadBackslash();
      } else if (c == '$') {
        ReadVariable();
      } else if (c == ',' && !in_quotes_ && split_ == WordSplit::kAtCommas) {
        EndPart();
        part_begin_ = ++at_;
      } else {
        part_.push_back(c);
        ++at_;
      }
    }
    EndPart();
    return std::move(parts_);
  }

 private:
  void Problem(size_t begin, std::string message, std::string hint) {
    problems_.push_back(
        {begin, at_ - begin, std::move(message), std::move(hint)});
    part_is_bad_ = true;
  }

  void EndPart() {
    const size_t size = at_ - part_begin_;
    if (part_.size() > kMaxPartBytes) {
      Problem(part_begin_,
              absl::StrFormat("a value of %d bytes; the limit is %d",
                              part_.size(), kMaxPartBytes),
              "");
    }
    const bool is_empty = part_.empty() && !quoted_;
    const bool skip = is_empty && split_ == WordSplit::kAtCommas;
    if (!part_is_bad_ && !skip) {
      parts_.push_back({std::move(part_), part_begin_, size});
    }
    part_.clear();
    quoted_ = false;
    part_is_bad_ = false;
  }

  void ReadLiteral() {
    if (in_quotes_) {
      part_.push_back(raw_[at_++]);
      return;
    }
    quoted_ = true;
    const size_t close = FindClosing(raw_, at_ + 1, '\'');
    part_.append(raw_.substr(at_ + 1, close - at_ - 1));
    at_ = close == std::string_view::npos ? raw_.size() : close + 1;
  }

  void ReadBackslash() {
    if (at_ + 1 == raw_.size()) {
      part_.push_back('\\');
      ++at_;
      return;
    }
    const char next = raw_[at_ + 1];
    at_ += 2;
    if (rules_ == WordRules::kShell) {
      const bool keep = in_quotes_ && std::string_view("$`\"\\").find(next) ==
                                          std::string_view::npos;
      if (keep) part_.push_back('\\');
      part_.push_back(next);
      return;
    }
    if (in_quotes_ && next == 'n') {
      part_.push_back('\n');
    } else if (in_quotes_ && next == 't') {
      part_.push_back('\t');
    } else if (in_quotes_ && next == 'r') {
      part_.push_back('\r');
    } else {
      const std::string_view special = in_quotes_ ? "$\"\\" : "$\"\\ \t;{}'#,";
      if (special.find(next) == std::string_view::npos) part_.push_back('\\');
      part_.push_back(next);
    }
  }

  void ReadVariable() {
    const size_t begin = at_++;
    const char next = at_ < raw_.size() ? raw_[at_] : '\0';
    if (next == '$') {
      part_.push_back('$');
      ++at_;
    } else if (next == '{') {
      ReadBraced(begin);
    } else if (IsNameStart(next)) {
      size_t end = at_;
      while (end < raw_.size() && IsNamePart(raw_[end])) ++end;
      const std::string_view name = raw_.substr(at_, end - at_);
      at_ = end;
      Substitute(begin, name, std::nullopt);
    } else {
      part_.push_back('$');
    }
  }

  void ReadBraced(size_t begin) {
    const size_t close = raw_.find('}', at_);
    if (close == std::string_view::npos) {
      at_ = raw_.size();
      Problem(begin, "'${' is not closed", "write ${NAME} or ${NAME:-default}");
      return;
    }
    const std::string_view inside = raw_.substr(at_ + 1, close - at_ - 1);
    at_ = close + 1;
    size_t name_size = 0;
    while (name_size < inside.size() && IsNamePart(inside[name_size])) {
      ++name_size;
    }
    const std::string_view name = inside.substr(0, name_size);
    const std::string_view rest = inside.substr(name_size);
    const bool named = !name.empty() && IsNameStart(name[0]);
    const bool has_default = rest.starts_with(":-");
    if (!named || (!rest.empty() && !has_default) ||
        rest.find('$') != std::string_view::npos) {
      Problem(
          begin,
          absl::StrFormat("cannot read '%s'", raw_.substr(begin, at_ - begin)),
          "write ${NAME} or ${NAME:-default} with a plain default, or $$ "
          "for a dollar");
      return;
    }
    Substitute(begin, name,
               has_default ? std::optional(rest.substr(2)) : std::nullopt);
  }

  // As in a shell, `:-` also stands in for an empty value.
  void Substitute(size_t begin, std::string_view name,
                  std::optional<std::string_view> fallback) {
    if (part_.size() > kMaxPartBytes) return;  // EndPart reports it.
    const std::optional<std::string> value = variable_(name);
    if (fallback && (!value || value->empty())) {
      part_.append(*fallback);
    } else if (value) {
      part_.append(*value);
    } else {
      Problem(begin, absl::StrFormat("no value for the variable '%s'", name),
              absl::StrFormat("a configuration may use HOME, USER, HOSTNAME, "
                              "PATH and LANG; write ${%s:-default} to go "
                              "without, or $$ for a dollar",
                              name));
    }
    quoted_ = true;  // A variable may be empty, and is still a value.
  }

  const std::string_view raw_;
  const WordRules rules_;
  const WordSplit split_;
  const VariableLookup& variable_;
  std::vector<WordProblem>& problems_;

  size_t at_ = 0;
  bool in_quotes_ = false;
  std::string part_;
  size_t part_begin_ = 0;
  bool quoted_ = false;  // Something was said, even if it was nothing.
  bool part_is_bad_ = false;
  std::vector<WordPart> parts_;
};

}  // namespace

WordExtent ScanWord(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && !EndsWord(text[at])) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      const size_t close = FindClosing(text, at + 1, c);
      if (close == std::string_view::npos) {
        return Unclosed(text, at, c == '"' ? "\"" : "'");
      }
      at = close + 1;
    } else if (c == '$' && text.substr(at, 2) == "${") {
      const size_t close = FindClosing(text, at + 2, '}');
      if (close == std::string_view::npos) return Unclosed(text, at, "${");
      at = close + 1;
    } else if (c == '\\' && at + 1 < text.size() && text[at + 1] != '\n' &&
               text[at + 1] != '\r') {
      at += 2;
    } else {
      ++at;
    }
  }
  return {at == 0 && !text.empty() ? 1 : at, std::nullopt};
}

std::vector<WordPart> ReadWord(std::string_view raw, WordRules rules,
                               WordSplit split, const VariableLookup& variable,
                               std::vector<WordProblem>& problems) {
  return WordReader(raw, rules, split, variable, problems).Read();
}

}  // namespace apm::config
