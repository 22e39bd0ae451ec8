// One thread's wait for everything: descriptors (epoll), timers, and work
// posted by other threads.
//
//   auto loop = EventLoop::Create().value();
//   loop->Add(fd, EPOLLIN, [&](uint32_t events) { ReadFrom(fd); });
//   loop->Run();  // Until Stop().
//
// A turn is: wait, run the callbacks of ready descriptors, of due timers, of
// posted work, then the AtEndOfTurn callbacks. An idle loop never wakes up.

#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "base/os/clock.h"
#include "base/os/timers.h"
#include "base/os/unique_fd.h"

namespace apm {

// Thread: Post() and Stop() from any thread, all else from the thread that
// calls Run() (or before Run()).
class EventLoop final : public Timers {
 public:
  // Receives the EPOLL* bits that are ready. May Remove() any descriptor,
  // its own included, and destroy the object it belongs to.
  using FdCallback = std::function<void(uint32_t events)>;

  // kResourceExhausted or kInternal if the kernel gives no epoll or eventfd.
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();

  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  ~EventLoop() override;

  // Watches `fd` for `events` (EPOLLIN, EPOLLOUT, EPOLLET, EPOLLEXCLUSIVE...).
  // kInvalidArgument if epoll refuses it (a regular file), kAlreadyExists if
  // it is watched. The loop does not own `fd`.
  absl::Status Add(int fd, uint32_t events, FdCallback callback);

  // Changes the events of a watched `fd`. REQUIRES: Add() succeeded.
  void Modify(int fd, uint32_t events);

  // Stops watching; events already fetched in this turn are not delivered.
  // Harmless if `fd` is not watched. Call it before closing `fd`.
  void Remove(int fd);

  absl::Duration Now() const override { return now_; }
  TimerId RunAfter(absl::Duration delay,
                   std::function<void()> callback) override;
  void Cancel(TimerId id) override;

  // Runs `callback` on the loop's thread, in order of the calls. What is
  // posted after the loop stopped is destroyed unrun with the loop.
  void Post(std::function<void()> callback);

  // Runs `callback` after everything else in the current turn: the place to
  // write what a turn has gathered. From outside a turn: in the next one.
  void AtEndOfTurn(std::function<void()> callback);

  // Runs turns until Stop(). May be called again after it returned.
  void Run();

  // Runs one turn, waiting at most `wait` for something to happen.
  void RunOnce(absl::Duration wait);

  // Makes Run() return after the current turn.
  void Stop();

 private:
  struct Watch {
    std::shared_ptr<FdCallback> callback;  // Kept alive while it runs.
    uint32_t generation = 0;
  };
  struct Timer {
    absl::Duration due;
    TimerId id;
    std::function<void()> callback;
  };

  EventLoop(UniqueFd epoll, UniqueFd wake);
  int WaitMilliseconds(absl::Duration wait) const;
  void DispatchFds(int count);
  void RunDueTimers();
  void RunPosted();
  void RunEndOfTurn();
  void SiftUp(size_t index);
  void SiftDown(size_t index);
  void Place(size_t index, Timer timer);
  void RemoveTimerAt(size_t index);

  SystemClock clock_;
  UniqueFd epoll_;
  UniqueFd wake_;  // eventfd, written by Post() and Stop().
  absl::Duration now_;
  std::vector<Watch> watches_;  // By descriptor.
  uint32_t next_generation_ = 1;
  std::vector<epoll_event> ready_;

  // A binary heap by (due, id). Cancel() finds its entry through
  // timer_slots_: id -> heap index, ids being slot and generation.
  std::vector<Timer> heap_;
  struct TimerSlot {
    uint32_t generation = 0;
    size_t heap_index = 0;
    bool used = false;
  };
  std::vector<TimerSlot> timer_slots_;
  std::vector<uint32_t> free_timer_slots_;

  std::vector<std::function<void()>> end_of_turn_;

  // Post() is the one entrance for other threads.
  std::mutex posted_mutex_;
  std::vector<std::function<void()>> posted_;  // Guarded by posted_mutex_.
  std::atomic<bool> stop_{false};
};

}  // namespace apm
