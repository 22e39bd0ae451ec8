#include "agent/control/control_socket.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include <absl/strings/str_cat.h>
#include <absl/time/time.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/unix_socket.h"
#include "base/os/user_name.h"
#include "tests/testing/status_matchers.h"

namespace apm::control {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

class ControlSocketTest : public ::testing::Test {
 protected:
  ControlSocketTest() {
    char folder[] = "/tmp/control-socket-XXXXXX";
    folder_ = mkdtemp(folder);
    path_ = folder_ + "/control.sock";
  }
  ~ControlSocketTest() override { std::filesystem::remove_all(folder_); }

  // As an agent leaves it that was killed.
  void LeaveStaleSocket() const {
    const UnixAddress address = ParseUnixAddress(path_).value();
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(bind(socket.get(), address.get(), address.length), 0);
  }

  const std::string abstract_ = absl::StrCat("@control-socket-test-", getpid());
  std::string folder_;
  std::string path_;
};

TEST_F(ControlSocketTest, TheHolderOfATakenNameIsNamed) {
  const auto first = ControlSocket::Listen(abstract_);
  ASSERT_THAT(first, IsOk());
  const auto second = ControlSocket::Listen(abstract_);
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_EQ(second.status().message(),
            absl::StrCat(abstract_, " is held by uid ", geteuid(), " (",
                         UserName(geteuid()), "), pid ", getpid(),
                         "; end it (if it is an agent of yours: apmctl kill), "
                         "or choose another socket: --socket @NAME"));
}

TEST_F(ControlSocketTest, ALiveServerOnAPathStays) {
  const auto first = ControlSocket::Listen(path_);
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(ControlSocket::Listen(path_),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(ConnectUnix(ParseUnixAddress(path_).value(), absl::Seconds(1)),
              IsOk());
}

TEST_F(ControlSocketTest, AStalePathIsReplaced) {
  LeaveStaleSocket();
  EXPECT_THAT(ControlSocket::Listen(path_), IsOk());
}

TEST_F(ControlSocketTest, AFileThatIsNoSocketStays) {
  std::ofstream(path_) << "mine";
  const auto result = ControlSocket::Listen(path_);
  EXPECT_THAT(result, StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(std::string(result.status().message()),
              AllOf(HasSubstr("is not a socket"), HasSubstr(path_)));
  EXPECT_TRUE(std::filesystem::is_regular_file(path_));
}

TEST_F(ControlSocketTest, AnybodyMayConnectToAPath) {
  const auto socket = ControlSocket::Listen(path_);
  ASSERT_THAT(socket, IsOk());
  struct stat status {};
  ASSERT_EQ(lstat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0666U);
}

TEST_F(ControlSocketTest, ThePathGoesWithTheSocket) {
  { const auto socket = ControlSocket::Listen(path_); }
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(ControlSocketTest, APathThatSomebodyElseHasTakenSinceStays) {
  {
    const auto socket = ControlSocket::Listen(path_);
    unlink(path_.c_str());
    std::ofstream(path_) << "mine";
  }
  EXPECT_TRUE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace apm::control
