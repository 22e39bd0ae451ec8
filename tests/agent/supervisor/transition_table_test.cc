#include "agent/supervisor/transition_table.h"

#include <cstddef>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace apm::supervisor {
namespace {

constexpr InstanceState StateAt(size_t i) {
  return static_cast<InstanceState>(i);
}
constexpr InstanceEvent EventAt(size_t i) {
  return static_cast<InstanceEvent>(i);
}

// Calls `check(state, event, transition)` for every cell.
template <typename Check>
void ForEveryCell(Check check) {
  for (size_t s = 0; s < kInstanceStates; ++s) {
    for (size_t e = 0; e < kInstanceEvents; ++e) {
      SCOPED_TRACE(std::string(Name(StateAt(s))) + " on " +
                   std::string(Name(EventAt(e))));
      check(StateAt(s), EventAt(e), Lookup(StateAt(s), EventAt(e)));
    }
  }
}

bool HasProcess(InstanceState state) {
  return state == InstanceState::kStarting || state == InstanceState::kReady ||
         state == InstanceState::kUnready || state == InstanceState::kStopping;
}

bool IsEnd(InstanceEvent event) {
  return event == InstanceEvent::kEndedRestart ||
         event == InstanceEvent::kEndedBackoff ||
         event == InstanceEvent::kEndedCrashloop ||
         event == InstanceEvent::kEndedForGood ||
         event == InstanceEvent::kEndedGaveUp;
}

TEST(TransitionTableTest, AnIgnoredEventChangesNothing) {
  ForEveryCell([](InstanceState state, InstanceEvent, const Transition& cell) {
    if (cell.action == InstanceAction::kIgnore) {
      EXPECT_EQ(cell.next, state);
    }
  });
}

TEST(TransitionTableTest, OnlyAnEndLeavesTheStatesThatHaveAProcess) {
  ForEveryCell(
      [](InstanceState state, InstanceEvent event, const Transition& cell) {
        if (HasProcess(state) && !HasProcess(cell.next)) {
          EXPECT_TRUE(IsEnd(event) || event == InstanceEvent::kSwept);
        }
      });
}

TEST(TransitionTableTest, LaunchesOnlyWhereNoProcessIsLeft) {
  ForEveryCell(
      [](InstanceState state, InstanceEvent event, const Transition& cell) {
        if (cell.action == InstanceAction::kLaunch) {
          EXPECT_TRUE(!HasProcess(state) || IsEnd(event));
          EXPECT_EQ(cell.next, InstanceState::kStarting);
        }
      });
}

TEST(TransitionTableTest, NothingButTheSweepLeavesStopping) {
  ForEveryCell(
      [](InstanceState state, InstanceEvent event, const Transition& cell) {
        if (state == InstanceState::kStopping) {
          EXPECT_EQ(cell.next, event == InstanceEvent::kSwept
                                   ? InstanceState::kStopped
                                   : InstanceState::kStopping);
        }
      });
}

TEST(TransitionTableTest, StopLeadsToStoppedFromEverywhere) {
  for (size_t s = 0; s < kInstanceStates; ++s) {
    const InstanceState next = Lookup(StateAt(s), InstanceEvent::kStop).next;
    EXPECT_EQ(next, HasProcess(StateAt(s)) ? InstanceState::kStopping
                                           : InstanceState::kStopped);
  }
}

TEST(TransitionTableTest, EveryStateCanBeReachedFromStopped) {
  std::set<InstanceState> reached = {InstanceState::kStopped};
  for (size_t round = 0; round < kInstanceStates; ++round) {
    ForEveryCell(
        [&](InstanceState state, InstanceEvent, const Transition& cell) {
          if (reached.contains(state)) reached.insert(cell.next);
        });
  }
  EXPECT_EQ(reached.size(), kInstanceStates);
}

TEST(TransitionTableTest, EveryValueHasANameOfItsOwn) {
  std::set<std::string_view> names;
  for (size_t s = 0; s < kInstanceStates; ++s) names.insert(Name(StateAt(s)));
  EXPECT_EQ(names.size(), kInstanceStates);
  EXPECT_FALSE(names.contains("unknown"));
  names.clear();
  for (size_t e = 0; e < kInstanceEvents; ++e) names.insert(Name(EventAt(e)));
  EXPECT_EQ(names.size(), kInstanceEvents);
  EXPECT_FALSE(names.contains("unknown"));
}

// One row an event, one column a state; "-" is ignored.
std::string Markdown() {
  std::ostringstream out;
  out << "| event |";
  for (size_t s = 0; s < kInstanceStates; ++s) {
    out << " " << Name(StateAt(s)) << " |";
  }
  out << "\n|---|";
  for (size_t s = 0; s < kInstanceStates; ++s) out << "---|";
  out << "\n";
  for (size_t e = 0; e < kInstanceEvents; ++e) {
    out << "| " << Name(EventAt(e)) << " |";
    for (size_t s = 0; s < kInstanceStates; ++s) {
      const Transition& cell = Lookup(StateAt(s), EventAt(e));
      if (cell.action == InstanceAction::kIgnore) {
        out << " - |";
      } else {
        out << " " << Name(cell.next) << ": " << Name(cell.action) << " |";
      }
    }
    out << "\n";
  }
  return out.str();
}

TEST(TransitionTableTest, TheReadmeShowsThisTable) {
  std::ifstream file(APM_SOURCE_DIR "/agent/supervisor/README.md");
  const std::string readme{std::istreambuf_iterator<char>(file), {}};
  EXPECT_THAT(readme, ::testing::HasSubstr(Markdown()))
      << "the table in agent/supervisor/README.md should read:\n\n"
      << Markdown();
}

}  // namespace
}  // namespace apm::supervisor
