#include "agent/inheritance.h"

#include <unistd.h>

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/process_note.h"

namespace apm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Pair;
using ::testing::SizeIs;

const InstanceKey kOld{"web", 0, 7};
const InstanceKey kNew{"web", 0, 8};

UniqueFd AnyFd() { return UniqueFd(dup(0)); }

RunningProcess Running(const InstanceKey& key) {
  RunningProcess process;
  process.key = key;
  return process;
}

TEST(InheritanceTest, OfAFreshDaemonItIsEmptyAndComplete) {
  Inheritance inheritance{Welcome()};
  EXPECT_TRUE(inheritance.complete());
  EXPECT_TRUE(inheritance.processes().empty());
}

TEST(InheritanceTest, GivesEachProcessItsPipesAndItsNote) {
  Welcome welcome;
  welcome.running = {Running(kNew), Running(kOld)};
  welcome.stored_fds = {PipeName(PipeEnd::kStdin, kNew),
                        PipeName(PipeEnd::kStderr, kOld)};
  welcome.states[ProcessNoteName(kOld)] =
      EncodeProcessNote({.memo = "old", .traits = {}, .definition = 5});
  Inheritance inheritance(welcome);
  for (const std::string& name : welcome.stored_fds) {
    EXPECT_FALSE(inheritance.complete());
    inheritance.Add(name, AnyFd());
  }
  EXPECT_TRUE(inheritance.complete());

  ASSERT_THAT(inheritance.processes(), SizeIs(2));
  const InheritedProcess& old = inheritance.processes()[0];
  EXPECT_EQ(old.process.key, kOld);
  EXPECT_THAT(old.pipes, ElementsAre(Key(PipeEnd::kStderr)));
  ASSERT_TRUE(old.note.has_value());
  EXPECT_EQ(old.note->memo, "old");
  EXPECT_EQ(old.note->definition, 5);
  EXPECT_FALSE(inheritance.processes()[1].note.has_value());
}

TEST(InheritanceTest, WhatBelongsToNoProcessIsToBeDropped) {
  Welcome welcome;
  welcome.running = {Running(kNew)};
  welcome.stored_fds = {PipeName(PipeEnd::kStdin, kOld), "listener:web:x"};
  welcome.states = {{ProcessNoteName(kOld), ""},
                    {"instance:web/0", "memo"},
                    {"what is this", ""}};
  Inheritance inheritance(welcome);
  EXPECT_THAT(inheritance.stale_fds(), ElementsAre("stdin:web/0/7"));
  EXPECT_THAT(inheritance.stale_notes(),
              ElementsAre("process:web/0/7", "what is this"));
  EXPECT_THAT(inheritance.wanted(), ElementsAre("listener:web:x"));
  EXPECT_THAT(inheritance.instance_memos(),
              ElementsAre(Pair(InstancePlace{"web", 0}, "memo")));
}

TEST(InheritanceTest, OthersAreTakenByNameOrByPrefix) {
  Welcome welcome;
  welcome.stored_fds = {"events", "listener:a", "listener:b"};
  Inheritance inheritance(welcome);
  for (const std::string& name : welcome.stored_fds) {
    inheritance.Add(name, AnyFd());
  }
  EXPECT_TRUE(inheritance.Take("events"));
  EXPECT_FALSE(inheritance.Take("events"));
  EXPECT_THAT(inheritance.TakeAll("listener:"),
              ElementsAre(Key("listener:a"), Key("listener:b")));
}

TEST(InheritanceTest, KnowsWhetherTheDaemonHasBooted) {
  Welcome welcome;
  EXPECT_EQ(Inheritance(welcome).daemon_note(), "");
  welcome.states[std::string(kDaemonNoteName)] = kDaemonRuns;
  Inheritance inheritance(welcome);
  EXPECT_EQ(inheritance.daemon_note(), kDaemonRuns);
  EXPECT_THAT(inheritance.stale_notes(), IsEmpty());
}

TEST(InheritanceTest, ADescriptorThatTheKeeperHasNoMoreIsNotWaitedFor) {
  Welcome welcome;
  welcome.stored_fds = {"events"};
  Inheritance inheritance(welcome);
  inheritance.Add("events", UniqueFd());
  EXPECT_TRUE(inheritance.complete());
  EXPECT_FALSE(inheritance.Take("events"));
}

TEST(ProcessNoteTest, SurvivesTheKeeper) {
  const ProcessNote note{
      .memo = std::string("a\0b", 3),
      .traits = WorkerTraits{"node/1.0", 64, {"lean", "drain"}},
      .definition = 1};
  const auto read = DecodeProcessNote(EncodeProcessNote(note));
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->memo, note.memo);
  ASSERT_TRUE(read->traits.has_value());
  EXPECT_EQ(read->traits->connector, "node/1.0");
  EXPECT_EQ(read->traits->concurrency, 64);
  EXPECT_THAT(read->traits->features, ElementsAre("lean", "drain"));
  EXPECT_EQ(read->definition, 1);
}

TEST(ProcessNoteTest, BytesThatAreNoNoteAreNone) {
  EXPECT_EQ(DecodeProcessNote("\xff\xff\xff"), std::nullopt);
}

}  // namespace
}  // namespace apm::agent
