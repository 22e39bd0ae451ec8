#include "agent/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_format.h>

#include "agent/options.h"
#include "base/os/errno_status.h"

namespace apm::agent {
namespace {

namespace fs = std::filesystem;

constexpr char kSystemStateDir[] = "/var/lib/apm";

bool Exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

void AppendIfThere(const std::string& file, std::vector<std::string>& files) {
  if (Exists(file)) files.push_back(file);
}

}  // namespace

absl::StatusOr<std::string> ProgramFolder() {
  char buffer[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", buffer, sizeof buffer);
  if (size <= 0) return ErrnoStatus(errno, "read '/proc/self/exe'");
  return fs::path(std::string(buffer, static_cast<size_t>(size)))
      .parent_path()
      .string();
}

std::string FindConnectors(const std::string& program_folder) {
  for (const char* place : {"/connectors", "/../share/apm/connectors"}) {
    std::error_code error;
    const fs::path folder = fs::canonical(program_folder + place, error);
    if (!error) return folder.string();
  }
  return "";
}

std::string HomeFolder(const std::string& by_user_database) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): before other threads start.
  const char* home = getenv("HOME");
  return home != nullptr && *home == '/' ? home : by_user_database;
}

absl::StatusOr<std::vector<std::string>> ConfigFiles(const Options& options,
                                                     const std::string& home) {
  std::vector<std::string> files;
  for (const std::string& file : options.config_files) {
    std::error_code error;
    files.push_back(fs::absolute(file, error).lexically_normal().string());
    if (error || !Exists(files.back())) {
      return absl::NotFoundError(absl::StrFormat(
          "configuration '%s' does not exist; check the path given with "
          "--config",
          file));
    }
  }
  if (!files.empty()) return files;
  if (!options.state_dir.empty()) {
    AppendIfThere(options.state_dir + "/config.conf", files);
    return files;
  }
  if (options.system) {
    AppendIfThere("/etc/apm/apm.conf", files);
    std::error_code ignored;
    std::vector<std::string> parts;
    for (const auto& entry :
         fs::directory_iterator("/etc/apm/apm.conf.d", ignored)) {
      if (entry.path().extension() == ".conf") parts.push_back(entry.path());
    }
    std::sort(parts.begin(), parts.end());
    files.insert(files.end(), parts.begin(), parts.end());
  }
  AppendIfThere(home + "/.apm/config.conf", files);
  return files;
}

std::string StateDir(const Options& options, const std::string& configured,
                     const std::string& home) {
  std::string folder =
      options.state_dir.empty() ? configured : options.state_dir;
  if (folder.empty()) {
    folder = options.system ? kSystemStateDir : home + "/.apm";
  }
  std::error_code ignored;
  return fs::absolute(folder, ignored).lexically_normal().string();
}

std::string LogDir(const Options& options, const std::string& state_dir) {
  const bool by_default = options.system && state_dir == kSystemStateDir;
  return by_default ? "/var/log/apm" : state_dir + "/logs";
}

absl::Status MakePrivateFolder(const std::string& folder) {
  std::error_code error;
  fs::create_directories(fs::path(folder).parent_path(), error);
  if (mkdir(folder.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno != EEXIST) {
    const int cause = error ? error.value() : errno;
    return absl::FailedPreconditionError(absl::StrFormat(
        "create the state folder '%s': %s; name one that you may write to with "
        "--state-dir",
        folder, ErrnoText(cause)));
  }
  struct stat info {};
  if (stat(folder.c_str(), &info) != 0) {
    return ErrnoStatus(errno, absl::StrFormat("look at folder '%s'", folder));
  }
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "'%s' should be a folder for state and is none; name another with "
        "--state-dir",
        folder));
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "others may write to the state folder '%s'; run: chmod go-w '%s'",
        folder, folder));
  }
  return absl::OkStatus();
}

}  // namespace apm::agent
