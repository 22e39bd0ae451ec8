// A configuration as written: directives with their words, includes in place.

#pragma once

#include <string_view>
#include <vector>

#include "agent/config/findings.h"
#include "agent/config/source_text.h"

namespace apm::config {

struct Word {
  Span span;
  std::string_view raw;  // In SourceTexts; read it with ReadWord.
};

struct Directive {
  Word name;
  std::vector<Word> values;
  bool has_block = false;
  std::vector<Directive> block;
  BlockId id = 0;  // Of a worker block; 0 for all else.
};

}  // namespace apm::config
