#include "ctl/program.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>

#include "base/os/errno_status.h"
#include "base/status/status_macros.h"

namespace apm::ctl {
namespace {

struct Interpreter {
  std::string_view extension;
  std::string_view program;
};
constexpr std::array<Interpreter, 7> kInterpreters = {{
    {".js", "node"},
    {".py", "python3"},
    {".php", "php"},
    {".pl", "perl"},
    {".lua", "lua"},
    {".rb", "ruby"},
    {".sh", "sh"},
}};

const Interpreter* FindInterpreter(std::string_view file) {
  const auto* found =
      std::ranges::find_if(kInterpreters, [file](const Interpreter& candidate) {
        return file.ends_with(candidate.extension);
      });
  return found == kInterpreters.end() ? nullptr : found;
}

absl::Status Refuse(const std::string& file, std::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat(
      "run '", file, "': ", absl::string_view(why.data(), why.size())));
}

absl::Status CheckFile(const std::string& file, int access_mode) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) return Refuse(file, ErrnoText(errno));
  if (S_ISDIR(status.st_mode)) {
    return Refuse(file, "is a folder; name the program in it");
  }
  if (access(file.c_str(), access_mode) != 0) {
    return Refuse(file, access_mode == X_OK
                            ? "may not be executed; type: chmod +x"
                            : ErrnoText(errno));
  }
  return absl::OkStatus();
}

std::optional<std::string> FindInPath(std::string_view name,
                                      std::string_view folder,
                                      std::string_view path) {
  for (const absl::string_view entry :
       absl::StrSplit(absl::string_view(path.data(), path.size()), ':')) {
    // An empty entry is the current folder, as in a shell.
    const std::string in = AbsolutePath({entry.data(), entry.size()}, folder);
    std::string candidate = AbsolutePath(name, in);
    if (CheckFile(candidate, X_OK).ok()) return candidate;
  }
  return std::nullopt;
}

}  // namespace

std::string AbsolutePath(std::string_view text, std::string_view folder) {
  std::filesystem::path path =
      (std::filesystem::path(folder) / text).lexically_normal();
  // "/srv/app/." becomes "/srv/app/".
  if (!path.has_filename() && path.has_relative_path()) {
    path = path.parent_path();
  }
  return path.string();
}

absl::StatusOr<Program> ResolveProgram(std::string_view typed,
                                       std::string_view folder,
                                       std::string_view path) {
  if (typed.empty()) return Refuse("", "is no name of a program");
  Program program;
  program.default_name = std::filesystem::path(typed).stem().string();
  const std::string file = AbsolutePath(typed, folder);
  if (const Interpreter* interpreter = FindInterpreter(typed)) {
    APM_RETURN_IF_ERROR(CheckFile(file, R_OK));
    auto found = FindInPath(interpreter->program, folder, path);
    if (!found) {
      return Refuse(
          file, absl::StrCat("there is no '", std::string(interpreter->program),
                             "' in PATH; install it"));
    }
    program.exec = *std::move(found);
    program.params = {file};
    return program;
  }
  if (typed.find('/') != std::string_view::npos) {
    APM_RETURN_IF_ERROR(CheckFile(file, X_OK));
    program.exec = file;
    return program;
  }
  auto found = FindInPath(typed, folder, path);
  if (!found) {
    return Refuse(std::string(typed),
                  "it is not in PATH; for a file of this folder write "
                  "./ before its name");
  }
  program.exec = *std::move(found);
  return program;
}

}  // namespace apm::ctl
