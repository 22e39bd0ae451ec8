#include "proxy/access_log.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/unique_fd.h"

namespace apm::proxy {
namespace {

std::string Contents(int fd) {
  std::string text(4096, '\0');
  text.resize(static_cast<size_t>(pread(fd, text.data(), text.size(), 0)));
  return text;
}

TEST(AccessLogTest, WritesTheCombinedFormatAndTheTime) {
  setenv("TZ", "UTC", 1);
  const int fd = memfd_create("log", MFD_CLOEXEC);
  AccessLog log{UniqueFd(fd)};
  log.Add({.remote = "192.0.2.7",
           .request_line = "GET /a HTTP/1.1",
           .status = 200,
           .body_bytes = 13,
           .referer = "http://example.org/",
           .user_agent = "curl/8.0",
           .took = absl::Milliseconds(4)},
          1760104536);
  log.Flush();
  EXPECT_EQ(Contents(fd),
            "192.0.2.7 - - [10/Oct/2025:13:55:36 +0000] \"GET /a HTTP/1.1\" "
            "200 13 \"http://example.org/\" \"curl/8.0\" 0.004\n");
}

TEST(AccessLogTest, SaysAMinusForWhatIsMissing) {
  const int fd = memfd_create("log", MFD_CLOEXEC);
  AccessLog log{UniqueFd(fd)};
  log.Add({.remote = "unix", .request_line = "GET / HTTP/1.0"}, 0);
  log.Flush();
  EXPECT_THAT(Contents(fd), ::testing::HasSubstr("0 0 \"-\" \"-\" 0.000\n"));
}

TEST(AccessLogTest, EscapesWhatCouldForgeALine) {
  std::string out;
  AppendLogEscaped("a\"b\\c\nd\x7f\xc3\xa9", out);
  EXPECT_EQ(out, "a\\x22b\\x5Cc\\x0Ad\\x7F\\xC3\\xA9");
}

TEST(AccessLogTest, LosesItsLinesWhenTheFileCannotBeWritten) {
  AccessLog log{UniqueFd()};
  log.Add({.remote = "unix"}, 0);
  log.Flush();
  EXPECT_TRUE(log.empty());
}

}  // namespace
}  // namespace apm::proxy
