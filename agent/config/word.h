// One word of a configuration: where it ends, and what it says.
//
//   plain   a"quoted part"b   'literal'   \;   ${NAME:-default}
//
// "..." and '...' may start anywhere in a word and end on the same line.
// Nothing is special in '...'. $NAME, ${NAME} and ${NAME:-default} stand for
// variables, $$ for a dollar; a $ before anything else is itself.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace apm::config {

// What is wrong inside a word; offsets count from where the word begins.
struct WordProblem {
  size_t begin = 0;
  size_t size = 0;
  std::string message;
  std::string hint;
};

struct WordExtent {
  size_t size = 0;  // At least 1, so that a scan always advances.
  std::optional<WordProblem> problem;
};

// How far the word at the start of `text` goes: to a space, ';', '{' or '}'.
// A quote that is not closed on its line is a problem; the word then ends at
// the last ';' of the line, or with the line, so that the next one is read as
// it was meant.
WordExtent ScanWord(std::string_view text);

// What a backslash does.
enum class WordRules : uint8_t {
  kConfig,  // \n \t \r in "..." are control characters; before a special
            // character it makes that one plain; else it stays.
  kShell,   // As POSIX sh (2.2 Quoting): outside of quotes it is removed, in
            // "..." it stays but before $ ` " \ .
};

enum class WordSplit : uint8_t { kNone, kAtCommas };

struct WordPart {
  std::string text;
  size_t begin = 0;
  size_t size = 0;
};

// Value of a variable; nullopt if it is not set or not to be used.
using VariableLookup =
    std::function<std::optional<std::string>(std::string_view)>;

// Reads `raw`, as delimited by ScanWord. kNone: exactly one part. kAtCommas:
// the parts between unquoted commas, without the empty ones. Problems are
// appended; a part with a problem is left out.
std::vector<WordPart> ReadWord(std::string_view raw, WordRules rules,
                               WordSplit split, const VariableLookup& variable,
                               std::vector<WordProblem>& problems);

}  // namespace apm::config
