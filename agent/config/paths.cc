#include "agent/config/paths.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace apm::config {
namespace {

void AppendParts(std::string_view path, std::string& out) {
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (!part.empty() && part != ".") {
      out += '/';
      out += part;
    }
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

std::string ResolvePath(std::string_view path, std::string_view base) {
  std::string out;
  if (!path.starts_with('/')) AppendParts(base, out);
  AppendParts(path, out);
  return out.empty() ? "/" : out;
}

std::string FolderOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos || slash == 0) return "/";
  return std::string(path.substr(0, slash));
}

}  // namespace apm::config
