// A worker's definition as JSON text, for people with the sqlite3 tool and for
// older and newer versions of this program.
//
//   {"exec":"node","instances":2,"name":"web","params":["server.js"], ...}
//
// Keys are the names of the directives. Reading takes what it knows: a key that
// is missing has the default, one that is unknown is ignored.

#pragma once

#include <string>
#include <string_view>

#include <absl/status/statusor.h>

#include "agent/config/config.h"

namespace apm::store {

std::string EncodeDefinition(const config::WorkerConfig& definition);

// kDataLoss if it is no JSON object or a value is none of its directive.
absl::StatusOr<config::WorkerConfig> DecodeDefinition(std::string_view text);

}  // namespace apm::store
