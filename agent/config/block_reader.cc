#include "agent/config/block_reader.h"

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <absl/strings/str_format.h>

#include "agent/config/utf8.h"

namespace apm::config {
namespace {

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <typename... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

std::string Usage(const DirectiveSpec& spec) {
  return absl::StrFormat("write: %s %s;", spec.name, spec.values);
}

}  // namespace

void BlockReader::Read(const Directive& block) {
  block_name_ = block.name.span;
  if (!block.has_block) {
    findings_.Error(block.name.span,
                    absl::StrFormat("'%s' needs a block", block.name.raw),
                    absl::StrFormat("write: %s { ... }", block.name.raw));
  }
  if (!block.values.empty()) {
    findings_.Error(
        block.values[0].span,
        absl::StrFormat("'%s' takes no value before its block", block.name.raw),
        block.name.raw == kWorkerBlock ? "write the name inside: name NAME;"
                                       : "");
  }
  for (const Directive& directive : block.block) ReadDirective(directive);
}

void BlockReader::ReadDirective(const Directive& directive) {
  const DirectiveSpec* spec = FindDirective(context_, directive.name.raw);
  if (spec == nullptr) {
    ReportUnknown(directive);
    return;
  }
  if (spec->target == Target(Special::kPlanned)) {
    findings_.Error(
        directive.name.span,
        absl::StrFormat("'%s' is not available in this version", spec->name),
        "remove it");
    return;
  }
  if (directive.has_block) {
    unreadable_.insert(spec->name);
    findings_.Error(directive.name.span,
                    absl::StrFormat("'%s' takes no block", spec->name),
                    Usage(*spec));
    return;
  }
  ReadValues(*spec, directive);
}

void BlockReader::ReadValues(const DirectiveSpec& spec,
                             const Directive& directive) {
  std::visit(
      Overloaded{
          [](Special) {},  // Blocks and includes are the parser's.
          [&](TextField field) { ReadText(spec, directive, worker_.*field); },
          [&](DaemonTextField field) {
            ReadText(spec, directive, daemon_.*field);
          },
          [&](ListField field) {
            const bool shell = field == &WorkerFields::params;
            ReadList(spec, directive,
                     shell ? WordRules::kShell : WordRules::kConfig,
                     shell ? WordSplit::kNone : WordSplit::kAtCommas,
                     worker_.*field);
          },
          [&](DaemonListField field) {
            ReadList(spec, directive, WordRules::kConfig, WordSplit::kAtCommas,
                     daemon_.*field);
          },
          [&](PairsField field) { ReadPair(spec, directive, worker_.*field); },
      },
      spec.target);
}

void BlockReader::ReadText(const DirectiveSpec& spec,
                           const Directive& directive, std::string& out) {
  const auto [given, is_first] = given_.emplace(spec.name, directive.name.span);
  if (!is_first) {
    const Span& first = given->second;
    findings_.Error(
        directive.name.span, absl::StrFormat("'%s' is given twice", spec.name),
        absl::StrFormat("the first is on line %d of '%s'", texts_.LineOf(first),
                        Quotable(texts_.Path(first.file))));
    return;
  }
  if (directive.values.size() > 1) {
    ReportValue(spec, directive.values[1].span,
                absl::StrFormat("'%s' takes one value", spec.name),
                spec.name == "exec" ? "arguments go into 'params'"
                                    : "put it into \"\" if it is one");
    return;
  }
  std::vector<std::string> values;
  ReadList(spec, directive, WordRules::kConfig, WordSplit::kNone, values);
  if (!values.empty()) out = std::move(values[0]);
}

void BlockReader::ReadList(const DirectiveSpec& spec,
                           const Directive& directive, WordRules rules,
                           WordSplit split, std::vector<std::string>& out) {
  size_t parts_seen = 0;
  for (const Word& word : directive.values) {
    for (WordPart& part : ReadParts(spec, word, rules, split)) {
      ++parts_seen;
      const Span span{word.span.file, word.span.begin + part.begin, part.size};
      // An argument may be empty, a name or address may not.
      if (part.text.empty() && rules == WordRules::kConfig) {
        ReportValue(spec, span, absl::StrFormat("'%s' is empty", spec.name),
                    Usage(spec));
        continue;
      }
      value_spans_[{spec.name, out.size()}] = span;
      out.push_back(std::move(part.text));
    }
  }
  if (parts_seen == 0 && !unreadable_.contains(spec.name)) {
    ReportValue(spec, directive.name.span,
                absl::StrFormat("'%s' needs a value", spec.name), Usage(spec));
  }
}

void BlockReader::ReadPair(
    const DirectiveSpec& spec, const Directive& directive,
    std::vector<std::pair<std::string, std::string>>& out) {
  if (directive.values.size() != 2) {
    const bool too_many = directive.values.size() > 2;
    ReportValue(
        spec, too_many ? directive.values[2].span : directive.name.span,
        absl::StrFormat("'%s' takes a name and one value", spec.name),
        too_many ? "put the value into \"\" if it is one" : Usage(spec));
    return;
  }
  std::vector<std::string> texts;
  for (const Word& word : directive.values) {
    for (WordPart& part :
         ReadParts(spec, word, WordRules::kConfig, WordSplit::kNone)) {
      texts.push_back(std::move(part.text));
    }
  }
  if (texts.size() != 2) return;  // Reported by ReadParts.
  value_spans_[{spec.name, out.size()}] = directive.values[0].span;
  out.emplace_back(std::move(texts[0]), std::move(texts[1]));
}

std::vector<WordPart> BlockReader::ReadParts(const DirectiveSpec& spec,
                                             const Word& word, WordRules rules,
                                             WordSplit split) {
  std::vector<WordProblem> problems;
  std::vector<WordPart> parts =
      ReadWord(word.raw, rules, split, variable_, problems);
  for (WordProblem& problem : problems) {
    unreadable_.insert(spec.name);
    findings_.Error(
        {word.span.file, word.span.begin + problem.begin, problem.size},
        std::move(problem.message), std::move(problem.hint));
  }
  return parts;
}

void BlockReader::ReportUnknown(const Directive& directive) {
  findings_.Error(
      directive.name.span,
      absl::StrFormat("unknown directive '%s'", Quotable(directive.name.raw)),
      SuggestDirective(context_, directive.name.raw));
}

// Every problem with a value passes here: this is the rule of which of them a
// worker can live with.
void BlockReader::ReportValue(const DirectiveSpec& spec, const Span& span,
                              std::string message, std::string hint) {
  unreadable_.insert(spec.name);
  if (spec.role != Role::kOptional) {
    findings_.Error(span, std::move(message), std::move(hint));
    return;
  }
  if (!spec.default_text.empty()) {
    message += absl::StrFormat(", using the default '%s'", spec.default_text);
  }
  findings_.Warning(span, std::move(message), std::move(hint));
}

Span BlockReader::SpanOf(std::string_view field, size_t index) const {
  const auto found = value_spans_.find({field, index});
  return found == value_spans_.end() ? block_name_ : found->second;
}

void BlockReader::ReportAll(std::vector<FieldProblem> problems) {
  for (FieldProblem& problem : problems) {
    const bool is_given = value_spans_.contains({problem.field, problem.index});
    if (!is_given && unreadable_.contains(problem.field)) continue;
    ReportValue(*FindDirective(context_, problem.field),
                SpanOf(problem.field, problem.index),
                std::move(problem.message), std::move(problem.hint));
  }
}

}  // namespace apm::config
