#include "base/os/errno_status.h"

#include <string.h>

#include <string>
#include <string_view>

#include <absl/status/status.h>

namespace apm {

std::string ErrnoText(int error) {
  char buffer[128];
  return strerror_r(error, buffer, sizeof buffer);  // The GNU variant.
}

absl::Status ErrnoStatus(int error, std::string_view action) {
  std::string message(action);
  message += ": ";
  message += ErrnoText(error);
  return absl::Status(absl::ErrnoToStatusCode(error), message);
}

}  // namespace apm
