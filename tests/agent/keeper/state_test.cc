#include "agent/keeper/state.h"

#include <string>

#include <absl/status/status.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/keeper/fd_store.h"
#include "agent/keeper/note_store.h"
#include "agent/keeper/process_table.h"
#include "base/os/channel.h"
#include "tests/testing/status_matchers.h"

namespace apm::keeper {
namespace {

namespace pb = ::apm::internal::v1;
using ::apm::testing::IsOk;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

pb::KeptProcess* AddProcess(pb::KeeperState& state, uint64_t generation,
                            int pid) {
  pb::KeptProcess* process = state.add_processes();
  process->mutable_key()->set_worker("web");
  process->mutable_key()->set_generation(generation);
  process->set_pid(pid);
  return process;
}

// A bit of everything, with the descriptors 10 to 17.
class StateTest : public ::testing::Test {
 protected:
  StateTest() {
    state_.set_version(kStateVersion);
    state_.set_folder("/usr/lib/apm");
    state_.mutable_pid_file()->set_path("/run/apm.pid");
    state_.mutable_pid_file()->set_fd(10);
    state_.mutable_agent()->set_pid(100);
    state_.mutable_agent()->mutable_channel()->set_fd(11);
    packet_ = state_.mutable_agent()->mutable_channel()->add_queue();
    packet_->set_bytes(std::string(1, '\0'));
    packet_->add_fds(12);
    starting_ = AddProcess(state_, 1, 101);
    starting_->set_pidfd(13);
    starting_->set_failure_pipe(14);
    AddProcess(state_, 2, 102)->set_pidfd(15);
    exited_ = AddProcess(state_, 3, 101);  // Its pid was used again.
    exited_->set_pidfd(16);
    exited_->mutable_exited()->set_status(1);
    pb::KeptFd* stored = state_.add_fds();
    stored->set_name("links");
    stored->set_fd(17);
    state_.add_states()->set_name("instance:web/0");
  }

  // Why it is refused; empty if it is not.
  std::string Refusal() const {
    return std::string(CheckState(state_).message());
  }

  pb::KeeperState state_;
  pb::KeptPacket* packet_;
  pb::KeptProcess* starting_;
  pb::KeptProcess* exited_;
};

TEST_F(StateTest, AcceptsABitOfEverything) {
  EXPECT_THAT(CheckState(state_), IsOk());
}

TEST_F(StateTest, AcceptsAKeeperWithoutAnything) {
  pb::KeeperState bare;
  bare.set_version(kStateVersion);
  bare.set_folder("/");
  EXPECT_THAT(CheckState(bare), IsOk());
  EXPECT_THAT(DescriptorsOf(bare), UnorderedElementsAre());
}

TEST_F(StateTest, KnowsEveryDescriptor) {
  EXPECT_THAT(DescriptorsOf(state_),
              UnorderedElementsAre(10, 11, 12, 13, 14, 15, 16, 17));
}

TEST_F(StateTest, RefusesAnotherVersion) {
  state_.set_version(kStateVersion + 1);
  EXPECT_THAT(Refusal(), HasSubstr("version 2"));
  state_.clear_version();
  EXPECT_THAT(Refusal(), HasSubstr("version 0"));
}

TEST_F(StateTest, RefusesARelativeFolder) {
  state_.set_folder("bin");
  EXPECT_THAT(Refusal(), HasSubstr("folder"));
}

TEST_F(StateTest, RefusesADescriptorTwice) {
  packet_->add_fds(17);
  EXPECT_THAT(Refusal(), HasSubstr("descriptor"));
}

TEST_F(StateTest, RefusesAStandardDescriptor) {
  state_.mutable_fds(0)->set_fd(2);
  EXPECT_THAT(Refusal(), HasSubstr("descriptor"));
  state_.mutable_fds(0)->set_fd(-1);
  EXPECT_THAT(Refusal(), HasSubstr("descriptor"));
}

TEST_F(StateTest, RefusesALivingPidTwice) {
  starting_->set_pid(102);
  EXPECT_THAT(Refusal(), HasSubstr("pid"));
  starting_->set_pid(100);  // The agent's.
  EXPECT_THAT(Refusal(), HasSubstr("pid"));
  starting_->set_pid(0);
  EXPECT_THAT(Refusal(), HasSubstr("pid"));
  starting_->set_pid(101);
  state_.mutable_proxy()->set_pid(100);
  EXPECT_THAT(Refusal(), HasSubstr("pid"));
}

TEST_F(StateTest, RefusesAProcessTwice) {
  exited_->mutable_key()->set_generation(1);
  EXPECT_THAT(Refusal(), HasSubstr("process twice"));
}

TEST_F(StateTest, RefusesAnExitOfAProcessThatIsStarting) {
  exited_->set_failure_pipe(20);
  EXPECT_THAT(Refusal(), HasSubstr("exit before the start"));
}

TEST_F(StateTest, RefusesAServiceThatIsThereAndIsNot) {
  state_.mutable_agent()->set_pid(0);
  EXPECT_THAT(Refusal(), HasSubstr("service"));
  state_.mutable_agent()->set_pid(-5);
  EXPECT_THAT(Refusal(), HasSubstr("service"));
}

TEST_F(StateTest, RefusesAServiceThatIsGoneAndWasNotMissed) {
  state_.mutable_agent()->mutable_exit()->set_wait_status(0);
  EXPECT_THAT(CheckState(state_), IsOk());
  state_.mutable_agent()->clear_channel();
  EXPECT_THAT(Refusal(), HasSubstr("service"));
}

TEST_F(StateTest, RefusesAPacketThatNoChannelSends) {
  packet_->set_bytes(std::string(kMaxPacketBytes, '\0'));
  EXPECT_THAT(CheckState(state_), IsOk());
  packet_->set_bytes(std::string(kMaxPacketBytes + 1, '\0'));
  EXPECT_THAT(Refusal(), HasSubstr("packet"));
  packet_->clear_bytes();
  EXPECT_THAT(Refusal(), HasSubstr("packet"));
}

TEST_F(StateTest, RefusesTooManyProcesses) {
  state_.clear_processes();
  for (size_t i = 0; i < ProcessTable::kMaxProcesses; ++i) {
    AddProcess(state_, i, static_cast<int>(1000 + i));
  }
  EXPECT_THAT(CheckState(state_), IsOk());
  AddProcess(state_, ProcessTable::kMaxProcesses, 999);
  EXPECT_THAT(Refusal(), HasSubstr("too many processes"));
}

TEST_F(StateTest, RefusesAStoredNameTwiceOrTooLong) {
  pb::KeptFd* second = state_.add_fds();
  second->set_fd(20);
  second->set_name("links");
  EXPECT_THAT(Refusal(), HasSubstr("name"));
  second->set_name(std::string(FdStore::kMaxNameBytes, 'x'));
  EXPECT_THAT(CheckState(state_), IsOk());
  second->set_name(std::string(FdStore::kMaxNameBytes + 1, 'x'));
  EXPECT_THAT(Refusal(), HasSubstr("name"));
}

TEST_F(StateTest, RefusesANoteThatTheStoreRefuses) {
  state_.mutable_states(0)->set_value(
      std::string(NoteStore::kMaxValueBytes + 1, 'x'));
  EXPECT_THAT(Refusal(), HasSubstr("too long"));
}

}  // namespace
}  // namespace apm::keeper
