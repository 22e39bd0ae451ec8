#include "agent/note_book.h"

#include <memory>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/os/channel.h"
#include "base/os/event_loop.h"
#include "tests/agent/far_ends.h"
#include "tests/agent/silent_events.h"

namespace apm::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

const InstanceKey kWeb{"web", 0, 7};

class NoteBookTest : public ::testing::Test {
 protected:
  ProcessNote Kept() const {
    return DecodeProcessNote(keeper_end_.notes().at(ProcessNoteName(kWeb)))
        .value();
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  std::pair<UniqueFd, UniqueFd> ends_ = CreateChannelPair().value();
  SilentEvents events_;
  KeeperClient keeper_{*loop_, std::move(ends_.first), events_};
  KeeperEnd keeper_end_{*loop_, std::move(ends_.second)};
  NoteBook notes_{keeper_};
};

TEST_F(NoteBookTest, TheFirstMemoIsSentWithTheLaunch) {
  notes_.SetMemo(kWeb, "starting");
  EXPECT_THAT(keeper_end_.Said(), IsEmpty());
  notes_.SetLaunch(kWeb, 5);
  EXPECT_THAT(keeper_end_.Said(), ElementsAre("note process:web/0/7"));
  EXPECT_EQ(Kept().memo, "starting");
  EXPECT_EQ(Kept().definition, 5U);
}

TEST_F(NoteBookTest, LaterMemosAreSentAtOnceAndKeepTheRest) {
  notes_.SetLaunch(kWeb, 5);
  notes_.SetTraits(kWeb, {"node/1.0", 8, {}});
  notes_.SetMemo(kWeb, "ready");
  EXPECT_THAT(keeper_end_.Said(),
              ElementsAre("note process:web/0/7", "note process:web/0/7",
                          "note process:web/0/7"));
  EXPECT_EQ(Kept().memo, "ready");
  EXPECT_EQ(Kept().definition, 5U);
  ASSERT_TRUE(Kept().traits.has_value());
  EXPECT_EQ(Kept().traits->connector, "node/1.0");
}

TEST_F(NoteBookTest, AnAdoptedNoteIsNotSentAgainUntilItChanges) {
  notes_.Adopt(kWeb, {.memo = "old", .traits = {}, .definition = 5});
  EXPECT_THAT(keeper_end_.Said(), IsEmpty());
  notes_.SetMemo(kWeb, "new");
  EXPECT_THAT(keeper_end_.Said(), ElementsAre("note process:web/0/7"));
  EXPECT_EQ(Kept().definition, 5U);
}

TEST_F(NoteBookTest, ANoteIsDroppedOnce) {
  notes_.SetLaunch(kWeb, 5);
  keeper_end_.Said();
  notes_.Drop(kWeb);
  notes_.Drop(kWeb);
  EXPECT_THAT(keeper_end_.Said(), ElementsAre("drop note process:web/0/7"));
  EXPECT_EQ(notes_.Find(kWeb), nullptr);
}

TEST_F(NoteBookTest, WhatWasNeverSentIsNotDroppedAtTheKeeper) {
  notes_.SetMemo(kWeb, "starting");
  notes_.Drop(kWeb);
  EXPECT_THAT(keeper_end_.Said(), IsEmpty());
}

TEST_F(NoteBookTest, WhatAStrangerSaidIsNotNoted) {
  notes_.SetTraits(kWeb, {"node/1.0", 8, {}});
  EXPECT_THAT(keeper_end_.Said(), IsEmpty());
  EXPECT_EQ(notes_.Find(kWeb), nullptr);
}

TEST_F(NoteBookTest, AnInstanceHasANoteOfItsOwn) {
  notes_.SetInstanceMemo({"web", 0}, "10 restarts");
  EXPECT_THAT(keeper_end_.Said(), ElementsAre("note instance:web/0"));
  EXPECT_THAT(keeper_end_.notes(),
              ElementsAre(Pair("instance:web/0", "10 restarts")));
  notes_.DropInstanceMemo({"web", 0});
  EXPECT_THAT(keeper_end_.Said(), ElementsAre("drop note instance:web/0"));
}

}  // namespace
}  // namespace apm::agent
