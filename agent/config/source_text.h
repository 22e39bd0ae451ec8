// The texts of all files of one configuration, and places in them.

#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/diagnostic.h"

namespace apm::config {

// A stretch of one file.
struct Span {
  int file = 0;  // Index in SourceTexts.
  size_t begin = 0;
  size_t size = 0;
};

class SourceTexts {
 public:
  // Returns the index of the file. `path` may be added more than once.
  int Add(std::string path, std::string text);

  // Stable until the end of this object.
  std::string_view Text(int file) const { return files_[Index(file)]->text; }
  const std::string& Path(int file) const { return files_[Index(file)]->path; }

  // From 1.
  size_t LineOf(const Span& span) const;

  // A diagnostic with its place filled in: file, line, column, excerpt.
  Diagnostic At(const Span& span) const;

 private:
  struct File {
    std::string path;
    std::string text;
    std::vector<size_t> line_starts;
  };

  static size_t Index(int file) { return static_cast<size_t>(file); }

  std::vector<std::unique_ptr<const File>> files_;
};

}  // namespace apm::config
