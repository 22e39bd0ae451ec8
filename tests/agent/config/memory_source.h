// Configuration files in a map.

#pragma once

#include <fnmatch.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/config/file_source.h"

namespace apm::config {

class MemorySource : public FileSource {
 public:
  void Add(std::string path, std::string text) {
    files_[std::move(path)] = std::move(text);
  }

  absl::StatusOr<std::string> Read(const std::string& path) override {
    const auto found = files_.find(path);
    if (found == files_.end()) {
      return absl::NotFoundError("No such file or directory");
    }
    return found->second;
  }

  absl::StatusOr<std::vector<std::string>> Glob(
      const std::string& pattern) override {
    if (pattern.find_first_of("*?[") == std::string::npos) {
      return std::vector<std::string>{pattern};
    }
    std::vector<std::string> matches;
    for (const auto& [path, text] : files_) {
      if (fnmatch(pattern.c_str(), path.c_str(), FNM_PATHNAME) == 0) {
        matches.push_back(path);
      }
    }
    return matches;
  }

 private:
  std::map<std::string, std::string> files_;
};

}  // namespace apm::config
