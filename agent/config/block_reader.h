// Reads the directives of one block into the fields that the table names.

#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/config/daemon_fields.h"
#include "agent/config/directives.h"
#include "agent/config/findings.h"
#include "agent/config/source_text.h"
#include "agent/config/syntax_tree.h"
#include "agent/config/word.h"
#include "agent/config/worker_fields.h"

namespace apm::config {

class BlockReader {
 public:
  BlockReader(Context context, const VariableLookup& variable,
              const SourceTexts& texts, Findings& findings)
      : context_(context),
        variable_(variable),
        texts_(texts),
        findings_(findings) {}

  // May be called for several blocks that count as one.
  void Read(const Directive& block);

  const WorkerFields& worker() const { return worker_; }
  const DaemonFields& daemon() const { return daemon_; }

  // Where value `index` of the directive `field` is, else the block's name.
  Span SpanOf(std::string_view field, size_t index) const;

  // Turns what the checks of the fields found into findings, by the role of
  // each directive.
  void ReportAll(std::vector<FieldProblem> problems);

 private:
  void ReadDirective(const Directive& directive);
  void ReadValues(const DirectiveSpec& spec, const Directive& directive);
  void ReadText(const DirectiveSpec& spec, const Directive& directive,
                std::string& out);
  void ReadList(const DirectiveSpec& spec, const Directive& directive,
                WordRules rules, WordSplit split,
                std::vector<std::string>& out);
  void ReadPair(const DirectiveSpec& spec, const Directive& directive,
                std::vector<std::pair<std::string, std::string>>& out);
  std::vector<WordPart> ReadParts(const DirectiveSpec& spec, const Word& word,
                                  WordRules rules, WordSplit split);
  void ReportUnknown(const Directive& directive);
  void ReportValue(const DirectiveSpec& spec, const Span& span,
                   std::string message, std::string hint);

  const Context context_;
  const VariableLookup& variable_;
  const SourceTexts& texts_;
  Findings& findings_;

  WorkerFields worker_;
  DaemonFields daemon_;
  Span block_name_;
  std::map<std::pair<std::string_view, size_t>, Span> value_spans_;
  std::map<std::string_view, Span> given_;  // Text directives, by name.
  std::set<std::string_view> unreadable_;   // Reported; not missing as well.
};

}  // namespace apm::config
