// A temporary folder with a state.db, and what tests do to them.

#pragma once

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "agent/store/database.h"

namespace apm::store {

class StateFolder {
 public:
  StateFolder() {
    std::string made =
        std::filesystem::temp_directory_path() / "apm-state-XXXXXX";
    path_ = mkdtemp(made.data());
  }
  StateFolder(const StateFolder&) = delete;
  StateFolder& operator=(const StateFolder&) = delete;
  ~StateFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::string& path() const { return path_; }
  std::string file() const { return path_ + "/state.db"; }

  // Runs statements on the file, as the sqlite3 tool would.
  void Execute(const std::string& sql) const {
    // Only then: to close it would end the locks of this process.
    if (!std::filesystem::exists(file())) Write("");
    Database database =
        Database::Open(file(), Database::Access::kWrite).value();
    const absl::Status status = database.Execute(sql);
    if (!status.ok()) abort();
  }

  std::string QueryText(const std::string& sql) const {
    Database database =
        Database::Open(file(), Database::Access::kWrite).value();
    Statement statement = database.Prepare(sql).value();
    return statement.Step().value() ? std::string(statement.Text(0)) : "";
  }

  void Write(const std::string& bytes) const {
    std::ofstream(file(), std::ios::binary) << bytes;
  }

  std::string Read() const {
    std::ifstream file(this->file(), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // Names in the folder that begin with `prefix`.
  std::vector<std::string> Names(const std::string& prefix) const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) {
      const std::string name = entry.path().filename();
      if (name.starts_with(prefix)) names.push_back(name);
    }
    return names;
  }

 private:
  std::string path_;
};

// A disk on which nothing can be written: every write(2) of this process to a
// plain file fails with EFBIG, which needs neither root nor a file system.
class BrokenDisk {
 public:
  BrokenDisk() {
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &none);
  }
  BrokenDisk(const BrokenDisk&) = delete;
  BrokenDisk& operator=(const BrokenDisk&) = delete;
  ~BrokenDisk() { Repair(); }

  void Repair() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace apm::store
