#include "agent/program_path.h"

#include <errno.h>
#include <sys/stat.h>

#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_split.h>

#include "base/os/errno_status.h"

namespace apm::agent {
namespace {

enum class Kind { kProgram, kMissing, kDirectory, kNotExecutable };

Kind Look(const std::string& file) {
  struct stat info {};
  if (stat(file.c_str(), &info) != 0) return Kind::kMissing;
  if (S_ISDIR(info.st_mode)) return Kind::kDirectory;
  return (info.st_mode & 0111) == 0 ? Kind::kNotExecutable : Kind::kProgram;
}

std::string Below(std::string_view folder, std::string_view name) {
  return absl::StrCat(absl::string_view(folder.data(), folder.size()), "/",
                      absl::string_view(name.data(), name.size()));
}

absl::StatusOr<std::string> CheckFile(std::string_view exec,
                                      const std::string& file) {
  switch (Look(file)) {
    case Kind::kProgram:
      return file;
    case Kind::kDirectory:
      return absl::InvalidArgumentError(absl::StrFormat(
          "exec '%s': '%s' is a directory; name the program in it", exec,
          file));
    case Kind::kNotExecutable:
      return absl::PermissionDeniedError(absl::StrFormat(
          "exec '%s': Permission denied: '%s' is not executable; run: chmod +x "
          "'%s', or name its interpreter in 'exec' and the file in 'params'",
          exec, file, file));
    case Kind::kMissing:
      break;
  }
  return absl::NotFoundError(
      absl::StrFormat("exec '%s': No such file or directory: '%s'; check "
                      "'exec', and 'path' if it is relative",
                      exec, file));
}

}  // namespace

absl::StatusOr<std::string> FindProgram(std::string_view exec,
                                        std::string_view cwd,
                                        std::string_view path) {
  if (exec.find('/') != std::string_view::npos) {
    return CheckFile(
        exec, exec.front() == '/' ? std::string(exec) : Below(cwd, exec));
  }
  for (absl::string_view folder :
       absl::StrSplit(absl::string_view(path.data(), path.size()), ':')) {
    if (folder.empty()) continue;
    std::string file =
        Below(std::string_view(folder.data(), folder.size()), exec);
    if (Look(file) == Kind::kProgram) return file;
  }
  const std::string local = Below(cwd, exec);
  switch (Look(local)) {
    case Kind::kProgram:
    case Kind::kNotExecutable:
      return absl::NotFoundError(absl::StrFormat(
          "exec '%s': not in PATH=%s, but '%s' exists; write exec ./%s;", exec,
          path, local, exec));
    case Kind::kDirectory:
      return absl::InvalidArgumentError(absl::StrFormat(
          "exec '%s': '%s' is a directory; name the program in it", exec,
          local));
    case Kind::kMissing:
      break;
  }
  return absl::NotFoundError(absl::StrFormat(
      "exec '%s': No such file or directory; looked in PATH=%s. Give the full "
      "path, or install it where PATH leads",
      exec, path));
}

}  // namespace apm::agent
