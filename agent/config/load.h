// Reads configuration files into one Config.
//
//   DiskSource disk(geteuid());
//   Config config = Load({"/etc/apm/apm.conf"}, disk, ProcessSurroundings());
//   for (const Diagnostic& d : config.diagnostics) Print(FormatDiagnostic(d));
//
// Never fails and never stops at the first error: what cannot be used is left
// out and said in `diagnostics`. The grammar is in agent/config/README.md.

#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.h"
#include "agent/config/file_source.h"

namespace apm::config {

// The part of the world, besides files, that a configuration can name.
struct Surroundings {
  // Value of an environment variable; asked only for the names that a
  // configuration may use (kEnvAllow).
  std::function<std::optional<std::string>(std::string_view)> variable;
  int cpu_count = 1;
};

// This process's environment and cpus. Thread: main, before others start, as
// getenv() is not synchronised.
Surroundings ProcessSurroundings();

// `files` are absolute paths, read in this order as if they were one text.
Config Load(const std::vector<std::string>& files, FileSource& source,
            const Surroundings& surroundings);

}  // namespace apm::config
