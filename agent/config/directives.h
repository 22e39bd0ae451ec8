// The one table of all directives. It feeds the reader of configuration files,
// "did you mean", and whatever explains or documents them: there is no second
// list. To add a directive: a line in the table, a field in WorkerFields or
// DaemonFields, its check in worker_fields.cc or daemon_fields.cc.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "agent/config/daemon_fields.h"
#include "agent/config/worker_fields.h"

namespace apm::config {

inline constexpr std::string_view kDaemonBlock = "daemon";
inline constexpr std::string_view kWorkerBlock = "worker";
inline constexpr std::string_view kIncludeDirective = "include";

// Which block a directive stands in.
enum class Context : uint8_t {
  kTop,
  kDaemon,
  kWorker,
  kUnknown,  // A block whose contents this version does not know.
};

// What a problem with its value means.
enum class Role : uint8_t {
  kOptional,    // A warning; the default is used.
  kRequired,    // An error: there is no worker without it.
  kProtecting,  // An error: running with the default could expose something.
};

// Where the values go; what kind of values there are follows from it.
using TextField = std::string WorkerFields::*;
using ListField = std::vector<std::string> WorkerFields::*;
using PairsField =
    std::vector<std::pair<std::string, std::string>> WorkerFields::*;
using DaemonTextField = std::string DaemonFields::*;
using DaemonListField = std::vector<std::string> DaemonFields::*;

enum class Special : uint8_t {
  kBlock,
  kInclude,
  kPlanned,  // Designed, but not in this version: said so, with its block.
};

using Target = std::variant<Special, TextField, ListField, PairsField,
                            DaemonTextField, DaemonListField>;

struct DirectiveSpec {
  Context context;
  std::string_view name;
  std::string_view values;        // As documented: "on|off", "NAME VALUE".
  std::string_view default_text;  // As documented; empty: none.
  Role role;
  Target target;
  std::string_view since;  // The version; empty where planned.
  std::string_view help;   // One sentence.
};

std::span<const DirectiveSpec> AllDirectives();

// nullptr if `context` has none of this name.
const DirectiveSpec* FindDirective(Context context, std::string_view name);

// Whether `name` opens a block that stands at the top of a file.
bool IsTopBlock(std::string_view name);

// The context inside of the block `name` of `context`.
Context BlockContext(Context context, std::string_view name);

// "in daemon { }", "at the top of a file".
std::string_view ContextPlace(Context context);

// What to write instead of `name`, which `context` does not have: a similar
// name, or the block where it belongs. Empty if there is nothing to suggest.
std::string SuggestDirective(Context context, std::string_view name);

}  // namespace apm::config
