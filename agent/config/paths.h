// Paths as text: nothing is looked up on disk.

#pragma once

#include <string>
#include <string_view>

namespace apm::config {

// `path` below `base` unless it is absolute, without "." parts and repeated or
// trailing slashes. ".." stays: behind a symlink it is not the folder before.
std::string ResolvePath(std::string_view path, std::string_view base);

// "/a" of "/a/b"; "/" of "/b".
std::string FolderOf(std::string_view path);

}  // namespace apm::config
