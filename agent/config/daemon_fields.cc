#include "agent/config/daemon_fields.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/strings/str_format.h>

#include "agent/config/listen_address.h"
#include "agent/config/names.h"
#include "agent/config/paths.h"
#include "agent/config/utf8.h"
#include "base/log/log.h"

namespace apm::config {
namespace {

std::optional<log::Level> ParseLevel(std::string_view text) {
  if (text == "debug") return log::Level::kDebug;
  if (text == "info") return log::Level::kInfo;
  if (text == "warning") return log::Level::kWarning;
  if (text == "error") return log::Level::kError;
  if (text == "off") return log::Level::kOff;
  return std::nullopt;
}

FieldProblem BadValue(std::string_view field, size_t index,
                      std::string_view value, std::string hint) {
  return {field, index,
          absl::StrFormat("bad value '%s' for '%s'", Quotable(value), field),
          std::move(hint)};
}

}  // namespace

DaemonConfig BuildDaemon(const DaemonFields& fields, std::string_view folder,
                         std::vector<FieldProblem>& problems) {
  DaemonConfig daemon;
  for (size_t i = 0; i < fields.allow_groups.size(); ++i) {
    if (IsAccountName(fields.allow_groups[i])) {
      daemon.allow_groups.push_back(fields.allow_groups[i]);
    } else {
      problems.push_back(BadValue("allow_group", i, fields.allow_groups[i],
                                  "use the name of a group of this host"));
    }
  }
  if (!fields.socket.empty()) {
    const bool abstract = fields.socket[0] == '@';
    std::string socket =
        abstract ? fields.socket : ResolvePath(fields.socket, folder);
    const size_t name_bytes = socket.size() - (abstract ? 1 : 0);
    if (name_bytes > 0 && name_bytes <= kMaxUnixPathBytes) {
      daemon.socket = std::move(socket);
    } else {
      problems.push_back(
          BadValue("socket", 0, fields.socket,
                   absl::StrFormat("use @NAME or a path, of up to %d bytes",
                                   kMaxUnixPathBytes)));
    }
  }
  if (!fields.state_dir.empty()) {
    daemon.state_dir = ResolvePath(fields.state_dir, folder);
  }
  if (!fields.log_level.empty()) {
    if (const auto level = ParseLevel(fields.log_level)) {
      daemon.log_level = *level;
    } else {
      problems.push_back(BadValue("log_level", 0, fields.log_level,
                                  "use debug, info, warning, error or off"));
    }
  }
  return daemon;
}

}  // namespace apm::config
