#include "agent/kept_names.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace apm::agent {
namespace {

using ::testing::Eq;
using ::testing::Optional;

const supervisor::InstanceKey kKey{"web.api-1", 3, 4294967297};

TEST(KeptNamesTest, EveryPipeIsFoundAgainByItsName) {
  for (const PipeEnd end : kPipeEnds) {
    EXPECT_THAT(ParsePipeName(PipeName(end, kKey)),
                Optional(Eq(std::pair(end, kKey))));
  }
}

TEST(KeptNamesTest, NotesAreFoundAgainByTheirNames) {
  EXPECT_THAT(ParseProcessNoteName(ProcessNoteName(kKey)), Optional(kKey));
  const InstancePlace place{"web", 0};
  EXPECT_EQ(InstanceNoteName(place), "instance:web/0");
  EXPECT_THAT(ParseInstanceNoteName("instance:web/0"), Optional(place));
}

TEST(KeptNamesTest, OtherNamesAreNotTakenForThem) {
  for (const char* name :
       {"", "stdin:", "stdin:web", "stdin:web/0", "stdin:web/0/", "stdin:/0/1",
        "stdin:web/x/1", "stdin:web/0/-1", "listener:web:http://a/0/1",
        "stdin:web/4294967296/1", "web/0/1"}) {
    EXPECT_EQ(ParsePipeName(name), std::nullopt) << name;
    EXPECT_EQ(ParseProcessNoteName(name), std::nullopt) << name;
    EXPECT_EQ(ParseInstanceNoteName(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace apm::agent
