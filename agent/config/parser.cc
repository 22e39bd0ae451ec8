#include "agent/config/parser.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include "agent/config/directives.h"
#include "agent/config/paths.h"
#include "agent/config/utf8.h"

namespace apm::config {
namespace {

constexpr int kMaxBlockDepth = 16;
constexpr size_t kMaxIncludeDepth = 16;
constexpr size_t kMaxFiles = 1000;
constexpr size_t kMaxBytes = size_t{16} << 20;  // Of all files together.

// Where something is missing: right behind `word`.
Span After(const Word& word) {
  return {word.span.file, word.span.begin + word.span.size, 0};
}

}  // namespace

void Parser::ParseFile(const std::string& path, std::vector<Directive>& out) {
  absl::StatusOr<std::string> text = source_.Read(path);
  if (!text.ok()) {
    findings_.FileError(path, std::string(text.status().message()));
    return;
  }
  ParseText(path, *std::move(text), Context::kTop, out);
}

void Parser::ParseText(const std::string& path, std::string text,
                       Context context, std::vector<Directive>& out) {
  ++files_read_;
  bytes_read_ += text.size();
  open_files_.push_back(path);
  const int file = texts_.Add(path, std::move(text));
  Lexer lexer(file, texts_.Text(file), findings_);
  while (ParseDirectives(lexer, context, 0, out) != End::kFile) {
    findings_.Error(lexer.Take().span, "'}' closes nothing",
                    "remove it, or look for a block that was closed before");
  }
  open_files_.pop_back();
}

Parser::End Parser::ParseDirectives(Lexer& lexer, Context context, int depth,
                                    std::vector<Directive>& out) {
  for (;;) {
    const Token& next = lexer.Peek();
    switch (next.kind) {
      case TokenKind::kEnd:
        return End::kFile;
      case TokenKind::kClose:
        return End::kBlock;
      case TokenKind::kSemicolon:
        lexer.Take();  // An empty directive, as after "}" by habit.
        break;
      case TokenKind::kOpen:
        findings_.Error(next.span, "a block without a name",
                        "write a name before '{', such as 'worker {'");
        SkipBlock(lexer);
        break;
      case TokenKind::kWord:
        if (depth > 0 && IsTopBlock(next.text) && lexer.OpensBlockAfterNext()) {
          return End::kNewBlock;
        }
        ParseDirective(lexer, context, depth, out);
        break;
    }
  }
}

void Parser::ParseDirective(Lexer& lexer, Context context, int depth,
                            std::vector<Directive>& out) {
  Directive directive;
  const Token name = lexer.Peek();
  directive.name = {name.span, name.text};
  if (context == Context::kTop && name.text == kWorkerBlock) {
    directive.id = ++last_block_;
    findings_.EnterBlock(directive.id);
  }
  lexer.Take();

  bool ended = false;
  while (!ended) {
    const Token& next = lexer.Peek();
    const bool new_directive = next.kind == TokenKind::kWord &&
                               next.first_on_line &&
                               FindDirective(context, next.text) != nullptr;
    if (next.kind == TokenKind::kWord && !new_directive) {
      directive.values.push_back({next.span, next.text});
      lexer.Take();
      continue;
    }
    ended = true;
    if (next.kind == TokenKind::kSemicolon) {
      lexer.Take();
    } else if (next.kind == TokenKind::kOpen) {
      ParseBlock(lexer, context, depth, directive);
    } else {
      ReportMissingSemicolon(directive);
    }
  }

  // What a part of the design that is not here yet would include is its own
  // affair.
  if (directive.name.raw == kIncludeDirective && !directive.has_block &&
      context != Context::kUnknown) {
    Include(directive, context, out);
  } else {
    out.push_back(std::move(directive));
  }
  if (context == Context::kTop) findings_.EnterBlock(0);
}

void Parser::ReportMissingSemicolon(const Directive& directive) {
  const Word& last =
      directive.values.empty() ? directive.name : directive.values.back();
  findings_.Error(After(last), absl::StrFormat("';' is missing after '%s'",
                                               Quotable(last.raw)));
}

void Parser::ParseBlock(Lexer& lexer, Context context, int depth,
                        Directive& directive) {
  directive.has_block = true;
  if (depth >= kMaxBlockDepth) {
    findings_.Error(
        lexer.Peek().span,
        absl::StrFormat("blocks are nested more than %d deep", kMaxBlockDepth));
    SkipBlock(lexer);
    return;
  }
  lexer.Take();
  const Context inner = BlockContext(context, directive.name.raw);
  const End end = ParseDirectives(lexer, inner, depth + 1, directive.block);
  if (end == End::kBlock) {
    lexer.Take();
    return;
  }
  findings_.Error(directive.name.span,
                  absl::StrFormat("the block '%s' is not closed",
                                  Quotable(directive.name.raw)),
                  end == End::kNewBlock
                      ? absl::StrFormat("add '}' before line %d",
                                        texts_.LineOf(lexer.Peek().span))
                      : "add '}'");
}

void Parser::SkipBlock(Lexer& lexer) {
  int depth = 0;
  do {
    const TokenKind kind = lexer.Take().kind;
    if (kind == TokenKind::kOpen) ++depth;
    if (kind == TokenKind::kClose) --depth;
  } while (depth > 0 && lexer.Peek().kind != TokenKind::kEnd);
}

void Parser::Include(const Directive& directive, Context context,
                     std::vector<Directive>& out) {
  if (directive.values.empty()) {
    findings_.Error(directive.name.span, "'include' needs a value",
                    "write: include FILE;");
  }
  for (const Word& word : directive.values) {
    std::vector<WordProblem> problems;
    const std::vector<WordPart> parts =
        ReadWord(word.raw, WordRules::kConfig, WordSplit::kAtCommas, variable_,
                 problems);
    for (WordProblem& problem : problems) {
      findings_.Error(
          {word.span.file, word.span.begin + problem.begin, problem.size},
          std::move(problem.message), std::move(problem.hint));
    }
    for (const WordPart& part : parts) {
      const Span span{word.span.file, word.span.begin + part.begin, part.size};
      const auto files =
          source_.Glob(ResolvePath(part.text, FolderOf(open_files_.back())));
      if (!files.ok()) {
        findings_.Error(span, std::string(files.status().message()));
        continue;
      }
      for (const std::string& file : *files) {
        IncludeFile(file, span, context, out);
      }
    }
  }
}

void Parser::IncludeFile(const std::string& path, const Span& from,
                         Context context, std::vector<Directive>& out) {
  const auto open = std::find(open_files_.begin(), open_files_.end(), path);
  if (open != open_files_.end()) {
    findings_.Error(
        from, absl::StrFormat("'%s' would include itself", Quotable(path)),
        "remove one of the includes");
    return;
  }
  if (open_files_.size() >= kMaxIncludeDepth || files_read_ >= kMaxFiles ||
      bytes_read_ >= kMaxBytes) {
    findings_.Error(
        from, absl::StrFormat("'%s' is not read: the limit is %d files and %d "
                              "MiB in all, %d files deep",
                              Quotable(path), kMaxFiles, kMaxBytes >> 20,
                              kMaxIncludeDepth));
    return;
  }
  absl::StatusOr<std::string> text = source_.Read(path);
  if (!text.ok()) {
    findings_.Error(from,
                    absl::StrFormat("cannot include '%s': %s", Quotable(path),
                                    std::string(text.status().message())));
    return;
  }
  ParseText(path, *std::move(text), context, out);
}

}  // namespace apm::config
