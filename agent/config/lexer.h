// Cuts the text of a file into words and punctuation. Words are delimited
// here and read in word.h, as what a backslash means depends on the directive.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/config/findings.h"
#include "agent/config/source_text.h"

namespace apm::config {

enum class TokenKind : uint8_t { kWord, kSemicolon, kOpen, kClose, kEnd };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Span span;
  std::string_view text;
  bool first_on_line = false;
};

class Lexer {
 public:
  // Reports to `findings` what is no text at all, and goes on behind it.
  Lexer(int file, std::string_view text, Findings& findings);

  // The token that Take() will return. Nothing is read ahead of need: what is
  // reported belongs to the block that the caller is in.
  const Token& Peek();
  Token Take();

  // Whether '{' comes after Peek().
  bool OpensBlockAfterNext();

 private:
  Token Read();
  void SkipBlanks();
  void SkipBadBytes();

  const int file_;
  const std::string_view text_;
  Findings& findings_;
  size_t at_ = 0;
  bool line_is_blank_ = true;  // Up to `at_`.
  std::optional<Token> next_;
};

}  // namespace apm::config
