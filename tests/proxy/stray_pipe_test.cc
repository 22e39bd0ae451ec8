#include "proxy/upstream/stray_pipe.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include <absl/time/time.h>
#include <gtest/gtest.h>

namespace apm::upstream {
namespace {

class StrayPipeTest : public ::testing::Test {
 protected:
  StrayPipeTest() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) abort();
    reader_.Reset(ends[0]);
    pipe_.emplace(*loop_, UniqueFd(ends[1]));
  }

  std::string Read() {
    std::string text(1 << 20, '\0');
    const ssize_t size = read(reader_.get(), text.data(), text.size());
    text.resize(size < 0 ? 0 : static_cast<size_t>(size));
    return text;
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::Create().value();
  UniqueFd reader_;
  std::optional<StrayPipe> pipe_;
};

TEST_F(StrayPipeTest, HandsOnWholeLines) {
  EXPECT_EQ(pipe_->Write("one\ntw"), 0u);
  EXPECT_EQ(Read(), "one\n");
  pipe_->Write("o\nthree\n");
  EXPECT_EQ(Read(), "two\nthree\n");
}

TEST_F(StrayPipeTest, ALineOfItsOwnDoesNotMixWithAnUnfinishedOne) {
  pipe_->Write("unfin");
  EXPECT_EQ(pipe_->WriteLine("whole\n"), 0u);
  pipe_->Write("ished\n");
  EXPECT_EQ(Read(), "whole\nunfinished\n");
}

TEST_F(StrayPipeTest, ALineThatIsTooLongLosesItsTail) {
  EXPECT_EQ(pipe_->WriteLine(std::string(kMaxStrayBytes + 4, 'x') + "\n"), 5u);
  EXPECT_EQ(Read(), std::string(kMaxStrayBytes - 1, 'x') + "\n");
}

TEST_F(StrayPipeTest, WhatWaitsGoesToTheReaderThatComesNext) {
  const std::string line(4095, 'x');
  while (pipe_->WriteLine(line + "\n") == 0) {
  }
  pipe_->Write("unfin");
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  reader_.Reset(ends[0]);
  pipe_->Use(UniqueFd(ends[1]));
  pipe_->Write("ished\n");
  EXPECT_TRUE(Read().starts_with(line));
  loop_->RunOnce(absl::ZeroDuration());
  EXPECT_EQ(Read(), "unfinished\n");
}

TEST_F(StrayPipeTest, EndsAnUnfinishedLineAtItsOwnEnd) {
  pipe_->Write("no newline");
  pipe_.reset();
  EXPECT_EQ(Read(), "no newline\n");
}

TEST_F(StrayPipeTest, DropsAndCountsWhatNobodyReads) {
  const std::string line = std::string(999, 'x') + "\n";
  size_t dropped = 0;
  for (int i = 0; i < 1000; ++i) dropped += pipe_->Write(line);
  EXPECT_GT(dropped, 1'000'000 - (256u << 10) - kMaxStrayBytes);
  EXPECT_EQ(dropped % line.size(), 0u) << "a line was cut";
}

TEST_F(StrayPipeTest, GoesOnWhenTheReaderComesBack) {
  const std::string line = std::string(999, 'x') + "\n";
  while (pipe_->Write(line) == 0) {
  }
  size_t received = 0;
  for (std::string part = Read(); !part.empty(); part = Read()) {
    received += part.size();
    loop_->RunOnce(absl::ZeroDuration());
  }
  EXPECT_EQ(received % line.size(), 0u);
  pipe_->Write("fresh\n");
  EXPECT_EQ(Read(), "fresh\n");
}

TEST_F(StrayPipeTest, CutsALineThatIsTooLongAndKeepsTheNext) {
  const std::string head(kMaxStrayBytes, 'x');
  EXPECT_EQ(pipe_->Write(head), 0u);
  EXPECT_EQ(pipe_->Write("too much"), 8u);
  pipe_->Write("\nnext\n");
  std::string all;
  for (std::string part = Read(); !part.empty(); part = Read()) {
    all += part;
    loop_->RunOnce(absl::ZeroDuration());
  }
  EXPECT_EQ(all, head + "\nnext\n");
}

TEST_F(StrayPipeTest, SurvivesAReaderThatHasGone) {
  signal(SIGPIPE, SIG_IGN);
  reader_.Reset();
  pipe_->Write("nobody hears\n");
  loop_->RunOnce(absl::ZeroDuration());
}

}  // namespace
}  // namespace apm::upstream
