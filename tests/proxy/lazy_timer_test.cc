#include "proxy/net/lazy_timer.h"

#include <functional>
#include <optional>
#include <utility>

#include <absl/time/time.h>
#include <gtest/gtest.h>

namespace apm::net {
namespace {

// One timer, turned by hand, that counts how often it was set.
class OneTimer final : public Timers {
 public:
  absl::Duration Now() const override { return now_; }

  TimerId RunAfter(absl::Duration delay,
                   std::function<void()> callback) override {
    ++armed;
    due_ = now_ + delay;
    callback_ = std::move(callback);
    return 1;
  }

  void Cancel(TimerId) override { callback_ = nullptr; }

  void AdvanceTo(absl::Duration now) {
    now_ = now;
    while (callback_ && due_ <= now_) std::exchange(callback_, nullptr)();
  }

  int armed = 0;

 private:
  absl::Duration now_;
  absl::Duration due_;
  std::function<void()> callback_;
};

class LazyTimerTest : public ::testing::Test {
 protected:
  OneTimer timers_;
  int fired_ = 0;
  LazyTimer timer_{timers_, [this] { ++fired_; }};
};

TEST_F(LazyTimerTest, FiresWhenDueAndOnce) {
  timer_.Set(absl::Seconds(10));
  timers_.AdvanceTo(absl::Seconds(9));
  EXPECT_EQ(fired_, 0);
  timers_.AdvanceTo(absl::Seconds(10));
  EXPECT_EQ(fired_, 1);
  timers_.AdvanceTo(absl::Seconds(100));
  EXPECT_EQ(fired_, 1);
}

TEST_F(LazyTimerTest, MovingItLaterArmsNothing) {
  timer_.Set(absl::Seconds(10));
  for (int i = 11; i < 1000; ++i) timer_.Set(absl::Seconds(i));
  EXPECT_EQ(timers_.armed, 1);
  timers_.AdvanceTo(absl::Seconds(10));
  EXPECT_EQ(fired_, 0);
  timers_.AdvanceTo(absl::Seconds(999));
  EXPECT_EQ(fired_, 1);
}

TEST_F(LazyTimerTest, MovingItEarlierFiresEarlier) {
  timer_.Set(absl::Seconds(10));
  timer_.Set(absl::Seconds(5));
  timers_.AdvanceTo(absl::Seconds(5));
  EXPECT_EQ(fired_, 1);
}

TEST_F(LazyTimerTest, InfinityIsNever) {
  timer_.Set(absl::Seconds(10));
  timer_.Set(absl::InfiniteDuration());
  timers_.AdvanceTo(absl::Hours(1));
  EXPECT_EQ(fired_, 0);
}

}  // namespace
}  // namespace apm::net
