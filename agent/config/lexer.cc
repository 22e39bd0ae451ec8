#include "agent/config/lexer.h"

#include <cstddef>
#include <optional>
#include <string_view>

#include "agent/config/findings.h"
#include "agent/config/source_text.h"
#include "agent/config/utf8.h"
#include "agent/config/word.h"

namespace apm::config {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// The longest start of `text` that is text.
std::string_view ValidPrefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const size_t size = CharacterBytes(text.substr(at));
    if (size == 0) break;
    at += size;
  }
  return text.substr(0, at);
}

}  // namespace

Lexer::Lexer(int file, std::string_view text, Findings& findings)
    : file_(file), text_(text), findings_(findings) {
  if (text_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
}

const Token& Lexer::Peek() {
  if (!next_) next_ = Read();
  return *next_;
}

Token Lexer::Take() {
  const Token token = Peek();
  next_.reset();
  return token;
}

bool Lexer::OpensBlockAfterNext() {
  Peek();
  size_t at = at_;
  while (at < text_.size() && (IsBlank(text_[at]) || text_[at] == '\n')) ++at;
  return at < text_.size() && text_[at] == '{';
}

void Lexer::SkipBlanks() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c == '\n') {
      line_is_blank_ = true;
      ++at_;
    } else if (IsBlank(c)) {
      ++at_;
    } else if (c == '#') {
      const size_t end = text_.find('\n', at_);
      at_ = end == std::string_view::npos ? text_.size() : end;
    } else if (CharacterBytes(text_.substr(at_)) == 0) {
      SkipBadBytes();
    } else {
      return;
    }
  }
}

void Lexer::SkipBadBytes() {
  const size_t begin = at_;
  while (at_ < text_.size() && CharacterBytes(text_.substr(at_)) == 0) ++at_;
  findings_.Error({file_, begin, at_ - begin},
                  "bytes that are not text (UTF-8)",
                  "remove them, or save the file as UTF-8");
}

Token Lexer::Read() {
  SkipBlanks();
  const bool first_on_line = line_is_blank_;
  line_is_blank_ = false;
  const std::string_view rest = text_.substr(at_);
  TokenKind kind = TokenKind::kWord;
  size_t size = 1;
  if (rest.empty()) {
    kind = TokenKind::kEnd;
    size = 0;
  } else if (rest[0] == ';') {
    kind = TokenKind::kSemicolon;
  } else if (rest[0] == '{') {
    kind = TokenKind::kOpen;
  } else if (rest[0] == '}') {
    kind = TokenKind::kClose;
  } else {
    const WordExtent extent = ScanWord(rest);
    // A word ends before bad bytes; SkipBlanks reports those.
    const std::string_view valid = ValidPrefix(rest.substr(0, extent.size));
    size = valid.size();
    if (extent.problem && extent.problem->begin < size) {
      findings_.Error(
          {file_, at_ + extent.problem->begin, extent.problem->size},
          extent.problem->message, extent.problem->hint);
    }
  }
  const Span span{file_, at_, size};
  at_ += size;
  return {kind, span, rest.substr(0, size), first_on_line};
}

}  // namespace apm::config
