// Where configuration text comes from: the disk (disk_source.h), or a map in
// tests and fuzzers.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

namespace apm::config {

class FileSource {
 public:
  virtual ~FileSource() = default;

  // The whole text of the file at `path`, absolute. The status of a failure is
  // shown to the user: it says what to do, and names the path only if it is
  // not the one asked for.
  virtual absl::StatusOr<std::string> Read(const std::string& path) = 0;

  // The files that match `pattern` (glob(7), absolute), sorted. Without a
  // wildcard: the path itself, whether it exists or not.
  virtual absl::StatusOr<std::vector<std::string>> Glob(
      const std::string& pattern) = 0;
};

}  // namespace apm::config
