// Reads files, and what they include, into a syntax tree.
//
//   file      := directive*
//   directive := name value* ( ';' | '{' directive* '}' )
//
// Which names exist matters here in one respect only: a known name that starts
// a line is a new directive, so that a forgotten ';' is reported where it is.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/directives.h"
#include "agent/config/file_source.h"
#include "agent/config/findings.h"
#include "agent/config/lexer.h"
#include "agent/config/source_text.h"
#include "agent/config/syntax_tree.h"
#include "agent/config/word.h"

namespace apm::config {

class Parser {
 public:
  Parser(FileSource& source, const VariableLookup& variable, SourceTexts& texts,
         Findings& findings)
      : source_(source),
        variable_(variable),
        texts_(texts),
        findings_(findings) {}

  // Appends the directives of a file. Problems go to the findings.
  void ParseFile(const std::string& path, std::vector<Directive>& out);

 private:
  // Why a list of directives ended; the token is still to be taken.
  enum class End : uint8_t {
    kFile,
    kBlock,     // At '}'.
    kNewBlock,  // At a `worker {` that can only be meant for the top.
  };

  void ParseText(const std::string& path, std::string text, Context context,
                 std::vector<Directive>& out);
  End ParseDirectives(Lexer& lexer, Context context, int depth,
                      std::vector<Directive>& out);
  void ParseDirective(Lexer& lexer, Context context, int depth,
                      std::vector<Directive>& out);
  void ParseBlock(Lexer& lexer, Context context, int depth,
                  Directive& directive);
  void SkipBlock(Lexer& lexer);
  void ReportMissingSemicolon(const Directive& directive);
  void Include(const Directive& directive, Context context,
               std::vector<Directive>& out);
  void IncludeFile(const std::string& path, const Span& from, Context context,
                   std::vector<Directive>& out);

  FileSource& source_;
  const VariableLookup& variable_;
  SourceTexts& texts_;
  Findings& findings_;

  std::vector<std::string> open_files_;  // From the first to the innermost.
  size_t files_read_ = 0;
  size_t bytes_read_ = 0;
  BlockId last_block_ = 0;
};

}  // namespace apm::config
