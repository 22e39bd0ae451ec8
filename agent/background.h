// One more thread with a loop of its own, for what may block: user databases
// (NSS), files. The main loop posts work to it and gets answers posted back.

#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "base/os/event_loop.h"

namespace apm::agent {

// Thread: Post() from any. The destructor waits for the work in hand; what
// has not begun is dropped.
class Background {
 public:
  explicit Background(std::unique_ptr<EventLoop> loop)
      : loop_(std::move(loop)), thread_([this] { loop_->Run(); }) {}
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;
  ~Background() {
    loop_->Stop();
    thread_.join();
  }

  void Post(std::function<void()> work) { loop_->Post(std::move(work)); }

 private:
  std::unique_ptr<EventLoop> loop_;
  std::thread thread_;
};

}  // namespace apm::agent
