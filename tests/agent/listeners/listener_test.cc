#include "agent/listeners/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/config/listen_address.h"
#include "agent/listeners/socket_address.h"
#include "base/os/unique_fd.h"
#include "tests/testing/status_matchers.h"

namespace apm::listeners {
namespace {

using ::apm::testing::IsOk;
using ::apm::testing::StatusIs;
using ::testing::HasSubstr;

constexpr Owner kNobody{65534, 65534};

config::ListenAddress Address(std::string_view text) {
  return config::ParseListenAddress(text, config::AddressForm::kCommandLine,
                                    "/")
      .value();
}

bool CanConnect(const config::ListenAddress& address) {
  const SocketAddress name = ToSocketAddress(address).value();
  const UniqueFd fd(socket(name.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  return connect(fd.get(), name.get(), name.size) == 0;
}

std::string Message(const absl::StatusOr<BoundListener>& listener) {
  return std::string(listener.status().message());
}

// A process that waits to be killed; ended with the fixture at the latest.
class Child {
 public:
  // Runs `prepare` in the child before it waits; returns when that is done.
  template <typename Prepare>
  explicit Child(Prepare prepare) {
    int ready[2];
    EXPECT_EQ(pipe2(ready, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      prepare();
      const char byte = 1;
      if (write(ready[1], &byte, 1) != 1) _exit(1);
      for (;;) pause();
    }
    close(ready[1]);
    char byte;
    EXPECT_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
  }
  ~Child() { Kill(); }

  void Kill() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

class TcpListenerTest : public ::testing::Test {};

TEST_F(TcpListenerTest, PortZeroGetsARealPort) {
  const auto listener = Bind(Address("127.0.0.1:0"), {});
  ASSERT_THAT(listener, IsOk());
  EXPECT_NE(listener->address.port, 0);
  EXPECT_TRUE(CanConnect(listener->address));
}

TEST_F(TcpListenerTest, DescriptorsAreNonBlockingAndCloseOnExec) {
  const auto listener = Bind(Address("127.0.0.1:0"), {});
  ASSERT_THAT(listener, IsOk());
  EXPECT_TRUE(fcntl(listener->fd.get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(fcntl(listener->fd.get(), F_GETFD) & FD_CLOEXEC);
}

TEST_F(TcpListenerTest, BothFamiliesFitOnOnePort) {
  // The kernel picks a port that is free for IPv6; somebody else may have it
  // for IPv4. Not ten times in a row.
  absl::Status four_bound;
  for (int attempt = 0; attempt < 10; ++attempt) {
    const auto six = Bind(Address("[::]:0"), {});
    if (!six.ok()) GTEST_SKIP() << "no IPv6 here: " << six.status();
    config::ListenAddress four = Address("0.0.0.0:0");
    four.port = six->address.port;
    four_bound = Bind(four, {}).status();
    if (four_bound.ok()) break;
  }
  EXPECT_THAT(four_bound, IsOk());
}

TEST_F(TcpListenerTest, APortInUseNamesItsHolder) {
  const auto held = Bind(Address("127.0.0.1:0"), {});
  ASSERT_THAT(held, IsOk());
  const auto second = Bind(held->address, {});
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(Message(second),
              HasSubstr(absl::StrCat("127.0.0.1:", held->address.port,
                                     " is in use by listener_test (pid ",
                                     getpid(), "); stop it or use another")));
}

TEST_F(TcpListenerTest, APortHeldByAnotherProcessNamesThatOne) {
  auto held = Bind(Address("127.0.0.1:0"), {});
  ASSERT_THAT(held, IsOk());
  const config::ListenAddress address = held->address;
  const Child child([] { prctl(PR_SET_NAME, "the-holder"); });
  held->fd.Reset();
  EXPECT_THAT(
      Message(Bind(address, {})),
      HasSubstr(absl::StrCat("in use by the-holder (pid ", child.pid(), ")")));
}

TEST_F(TcpListenerTest, AWildcardOfTheOtherFamilyIsFoundToo) {
  // As Node does by default: [::] without V6ONLY.
  const UniqueFd six(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!six) GTEST_SKIP() << "no IPv6 here";
  SocketAddress name = ToSocketAddress(Address("[::]:0")).value();
  ASSERT_EQ(bind(six.get(), name.get(), name.size), 0);
  ASSERT_EQ(listen(six.get(), 1), 0);
  const int port = WithActualPort(Address("[::]:0"), six.get()).value().port;
  EXPECT_THAT(Message(Bind(Address(absl::StrCat("127.0.0.1:", port)), {})),
              HasSubstr("in use by listener_test (pid"));
}

TEST_F(TcpListenerTest, AnAddressOfAnotherHostIsSaid) {
  EXPECT_THAT(Message(Bind(Address("203.0.113.7:0"), {})),
              HasSubstr("this host does not have the address"));
}

TEST_F(TcpListenerTest, AHostMustBeNumeric) {
  config::ListenAddress address = Address("127.0.0.1:0");
  address.host = "example.org";
  EXPECT_THAT(Bind(address, {}), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(TcpListenerTest, AnAbstractNameIsHeldOnce) {
  const auto address = Address(absl::StrCat("@apm-listener-test-", getpid()));
  const auto held = Bind(address, {});
  ASSERT_THAT(held, IsOk());
  EXPECT_TRUE(CanConnect(address));
  EXPECT_THAT(Bind(address, {}), StatusIs(absl::StatusCode::kAlreadyExists));
}

class UnixListenerTest : public ::testing::Test {
 protected:
  UnixListenerTest() {
    std::string pattern = ::testing::TempDir() + "apm-listen-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ + "/app.sock";
    address_ = Address(path_);
  }
  ~UnixListenerTest() override { std::filesystem::remove_all(folder_); }

  struct stat Look() {
    struct stat status {};
    EXPECT_EQ(lstat(path_.c_str(), &status), 0);
    return status;
  }
  bool Exists() const {
    struct stat status {};
    return lstat(path_.c_str(), &status) == 0;
  }
  // A socket file whose server is gone.
  void LeaveDeadSocket() {
    ASSERT_THAT(Bind(address_, {}), IsOk());
    ASSERT_TRUE(Exists());
    ASSERT_FALSE(CanConnect(address_));
  }

  std::string folder_;
  std::string path_;
  config::ListenAddress address_;
};

TEST_F(UnixListenerTest, TheModeIsExactWhateverTheUmask) {
  const mode_t before = umask(077);
  const auto listener = Bind(address_, {.socket_mode = 0666, .owner = {}});
  umask(before);
  ASSERT_THAT(listener, IsOk());
  EXPECT_EQ(Look().st_mode & 07777, 0666u);
  EXPECT_TRUE(CanConnect(address_));
}

TEST_F(UnixListenerTest, TheDefaultModeIsForOwnerAndGroup) {
  const auto listener = Bind(address_, {});
  ASSERT_THAT(listener, IsOk());
  EXPECT_EQ(Look().st_mode & 07777, 0660u);
}

TEST_F(UnixListenerTest, TheModeCanBeChangedWhileItListens) {
  const auto listener = Bind(address_, {});
  ASSERT_THAT(listener, IsOk());
  EXPECT_THAT(SetSocketFileMode(*listener->file, 0600), IsOk());
  EXPECT_EQ(Look().st_mode & 07777, 0600u);
  EXPECT_TRUE(CanConnect(address_));
}

TEST_F(UnixListenerTest, TheModeOfAFileThatIsNotOursStays) {
  const auto listener = Bind(address_, {});
  ASSERT_THAT(listener, IsOk());
  unlink(path_.c_str());
  const auto other = Bind(address_, {});
  ASSERT_THAT(other, IsOk());
  EXPECT_THAT(SetSocketFileMode(*listener->file, 0600), IsOk());
  EXPECT_EQ(Look().st_mode & 07777, 0660u);
}

TEST_F(UnixListenerTest, CloseRemovesTheFile) {
  auto listener = Bind(address_, {});
  ASSERT_THAT(listener, IsOk());
  EXPECT_THAT(Close(*std::move(listener)), IsOk());
  EXPECT_FALSE(Exists());
}

TEST_F(UnixListenerTest, CloseLeavesAFileThatIsNotOursAnyMore) {
  auto listener = Bind(address_, {});
  ASSERT_THAT(listener, IsOk());
  ASSERT_EQ(rename(path_.c_str(), (path_ + ".old").c_str()), 0);
  const auto other = Bind(address_, {});
  ASSERT_THAT(other, IsOk());
  EXPECT_THAT(Close(*std::move(listener)), IsOk());
  EXPECT_TRUE(CanConnect(address_));
}

TEST_F(UnixListenerTest, CloseIsContentIfTheFileIsGone) {
  auto listener = Bind(address_, {});
  ASSERT_THAT(listener, IsOk());
  unlink(path_.c_str());
  EXPECT_THAT(Close(*std::move(listener)), IsOk());
}

TEST_F(UnixListenerTest, ADeadSocketIsReplaced) {
  LeaveDeadSocket();
  const auto listener = Bind(address_, {});
  ASSERT_THAT(listener, IsOk());
  EXPECT_TRUE(CanConnect(address_));
}

TEST_F(UnixListenerTest, ALiveServerIsLeftAloneAndNamed) {
  const auto held = Bind(address_, {});
  ASSERT_THAT(held, IsOk());
  const auto second = Bind(address_, {});
  EXPECT_THAT(second, StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(Message(second),
              HasSubstr(absl::StrCat("is in use by listener_test (pid ",
                                     getpid(), ")")));
  EXPECT_TRUE(CanConnect(address_));
}

TEST_F(UnixListenerTest, AServerThatDoesNotAcceptIsAlive) {
  const UniqueFd busy(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const SocketAddress name = ToSocketAddress(address_).value();
  ASSERT_EQ(bind(busy.get(), name.get(), name.size), 0);
  ASSERT_EQ(listen(busy.get(), 0), 0);
  const UniqueFd queued(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(queued.get(), name.get(), name.size), 0);
  EXPECT_THAT(Bind(address_, {}), StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_TRUE(Exists());
}

TEST_F(UnixListenerTest, ADatagramServerIsAlive) {
  const UniqueFd other(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const SocketAddress name = ToSocketAddress(address_).value();
  ASSERT_EQ(bind(other.get(), name.get(), name.size), 0);
  EXPECT_THAT(Bind(address_, {}), StatusIs(absl::StatusCode::kAlreadyExists));
}

TEST_F(UnixListenerTest, ARegularFileIsLeftAlone) {
  std::ofstream(path_) << "precious";
  const auto listener = Bind(address_, {});
  EXPECT_THAT(listener, StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Message(listener), HasSubstr("is a regular file, not a socket"));
  EXPECT_TRUE(S_ISREG(Look().st_mode));
}

TEST_F(UnixListenerTest, ADirectoryIsLeftAlone) {
  ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
  EXPECT_THAT(Message(Bind(address_, {})), HasSubstr("is a directory"));
  EXPECT_TRUE(S_ISDIR(Look().st_mode));
}

TEST_F(UnixListenerTest, ASymlinkIsLeftAloneAndNotFollowed) {
  const std::string target = folder_ + "/target.sock";
  ASSERT_EQ(symlink(target.c_str(), path_.c_str()), 0);
  EXPECT_THAT(Message(Bind(address_, {})), HasSubstr("is a symbolic link"));
  EXPECT_TRUE(S_ISLNK(Look().st_mode));
  EXPECT_FALSE(std::filesystem::exists(target));
}

TEST_F(UnixListenerTest, AMissingFolderIsSaidWithTheCommand) {
  EXPECT_THAT(Message(Bind(Address(folder_ + "/none/a.sock"), {})),
              HasSubstr("create it: mkdir -p '" + folder_ + "/none'"));
}

TEST_F(UnixListenerTest, APathThatIsTooLongIsSaid) {
  address_.path = "/" + std::string(config::kMaxUnixPathBytes, 'x');
  EXPECT_THAT(Message(Bind(address_, {})), HasSubstr("has 108 bytes"));
}

TEST_F(UnixListenerTest, ALockedFolderIsWaitedForOnlySoLong) {
  const UniqueFd folder(
      open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  ASSERT_EQ(flock(folder.get(), LOCK_EX), 0);
  EXPECT_THAT(Bind(address_, {}), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(UnixListenerTest, AnAdoptedListenerKnowsItsFile) {
  auto listener = Bind(address_, {});
  ASSERT_THAT(listener, IsOk());
  auto adopted = Adopt(std::move(listener->fd), address_, {});
  ASSERT_THAT(adopted, IsOk());
  EXPECT_EQ(adopted->file->inode, listener->file->inode);
  EXPECT_THAT(Close(*std::move(adopted)), IsOk());
  EXPECT_FALSE(Exists());
}

TEST_F(UnixListenerTest, OnlyTheListenerOfTheAddressIsAdopted) {
  auto listener = Bind(Address("127.0.0.1:0"), {});
  ASSERT_THAT(listener, IsOk());
  EXPECT_THAT(Adopt(std::move(listener->fd), address_, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_THAT(Adopt(UniqueFd(socket(AF_UNIX, SOCK_STREAM, 0)), address_, {}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

class OtherUserListenerTest : public UnixListenerTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to become another user";
  }
  const BindOptions options_{.socket_mode = 0660, .owner = kNobody};
};

TEST_F(OtherUserListenerTest, TheFileBelongsToTheWorkersUser) {
  ASSERT_EQ(chown(folder_.c_str(), kNobody.uid, kNobody.gid), 0);
  auto listener = Bind(address_, options_);
  ASSERT_THAT(listener, IsOk());
  EXPECT_EQ(Look().st_uid, kNobody.uid);
  EXPECT_EQ(Look().st_gid, kNobody.gid);
  EXPECT_THAT(Close(*std::move(listener)), IsOk());
  EXPECT_FALSE(Exists());
}

TEST_F(OtherUserListenerTest, WhatTheUserMayNotWriteIsRefused) {
  EXPECT_THAT(Bind(address_, options_),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_FALSE(Exists());
}

TEST_F(OtherUserListenerTest, RootDoesNotFollowTheUsersSymlinks) {
  // A folder of the user's that leads to where only root may write.
  const std::string secret = folder_ + "/secret";
  const std::string theirs = folder_ + "/theirs";
  ASSERT_EQ(mkdir(secret.c_str(), 0755), 0);
  ASSERT_EQ(mkdir(theirs.c_str(), 0755), 0);
  chmod(folder_.c_str(), 0755);
  ASSERT_EQ(chown(theirs.c_str(), kNobody.uid, kNobody.gid), 0);
  ASSERT_EQ(symlink(secret.c_str(), (theirs + "/in").c_str()), 0);
  EXPECT_THAT(Bind(Address(theirs + "/in/app.sock"), options_),
              StatusIs(absl::StatusCode::kPermissionDenied));
  EXPECT_TRUE(std::filesystem::is_empty(secret));
}

TEST_F(OtherUserListenerTest, PeersSeeThisProcessAndNotTheHelper) {
  ASSERT_EQ(chown(folder_.c_str(), kNobody.uid, kNobody.gid), 0);
  const auto listener = Bind(address_, options_);
  ASSERT_THAT(listener, IsOk());
  const SocketAddress name = ToSocketAddress(address_).value();
  const UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(fd.get(), name.get(), name.size), 0);
  ucred peer{};
  socklen_t size = sizeof peer;
  ASSERT_EQ(getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
  EXPECT_EQ(peer.pid, getpid());
  EXPECT_EQ(peer.uid, geteuid());
}

}  // namespace
}  // namespace apm::listeners
