// Stale events: epoll_wait returns a batch, and the callback of one event may
// remove another descriptor of the same batch, or close it and open a new one
// with the same number. Each watch has a generation, carried in the event's
// data beside the descriptor; an event of an older generation is dropped.

#include "base/os/event_loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include "base/os/errno_status.h"

namespace apm {
namespace {

constexpr size_t kEventsPerWait = 256;

uint64_t Pack(int fd, uint32_t generation) {
  return static_cast<uint64_t>(generation) << 32 | static_cast<uint32_t>(fd);
}

}  // namespace

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return ErrnoStatus(errno, "create an epoll instance");
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return ErrnoStatus(errno, "create an eventfd");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = Pack(wake.get(), 0);
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return ErrnoStatus(errno, "watch an eventfd");
  }
  return std::unique_ptr<EventLoop>(
      new EventLoop(std::move(epoll), std::move(wake)));
}

EventLoop::EventLoop(UniqueFd epoll, UniqueFd wake)
    : epoll_(std::move(epoll)),
      wake_(std::move(wake)),
      now_(clock_.Monotonic()),
      ready_(kEventsPerWait) {}

EventLoop::~EventLoop() = default;

absl::Status EventLoop::Add(int fd, uint32_t events, FdCallback callback) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = Pack(fd, next_generation_);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return ErrnoStatus(errno, "watch a descriptor");
  }
  const auto index = static_cast<size_t>(fd);
  if (index >= watches_.size()) watches_.resize(index + 1);
  watches_[index].callback = std::make_shared<FdCallback>(std::move(callback));
  watches_[index].generation = next_generation_;
  if (++next_generation_ == 0) next_generation_ = 1;  // 0 is the eventfd's.
  return absl::OkStatus();
}

void EventLoop::Modify(int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = Pack(fd, watches_[static_cast<size_t>(fd)].generation);
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EventLoop::Remove(int fd) {
  const auto index = static_cast<size_t>(fd);
  if (fd < 0 || index >= watches_.size() || !watches_[index].callback) return;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  watches_[index] = Watch{};
}

void EventLoop::Place(size_t index, Timer timer) {
  timer_slots_[static_cast<uint32_t>(timer.id) - 1].heap_index = index;
  heap_[index] = std::move(timer);
}

void EventLoop::SiftUp(size_t index) {
  Timer moving = std::move(heap_[index]);
  while (index > 0) {
    const size_t parent = (index - 1) / 2;
    if (heap_[parent].due <= moving.due) break;
    Place(index, std::move(heap_[parent]));
    index = parent;
  }
  Place(index, std::move(moving));
}

void EventLoop::SiftDown(size_t index) {
  Timer moving = std::move(heap_[index]);
  for (;;) {
    size_t child = 2 * index + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() && heap_[child + 1].due < heap_[child].due) {
      ++child;
    }
    if (moving.due <= heap_[child].due) break;
    Place(index, std::move(heap_[child]));
    index = child;
  }
  Place(index, std::move(moving));
}

TimerId EventLoop::RunAfter(absl::Duration delay,
                            std::function<void()> callback) {
  if (free_timer_slots_.empty()) {
    timer_slots_.emplace_back();
    free_timer_slots_.push_back(static_cast<uint32_t>(timer_slots_.size()));
  }
  const uint32_t slot_number = free_timer_slots_.back();  // From 1.
  free_timer_slots_.pop_back();
  TimerSlot& slot = timer_slots_[slot_number - 1];
  slot.used = true;
  ++slot.generation;
  const TimerId id = static_cast<uint64_t>(slot.generation) << 32 | slot_number;
  heap_.push_back(
      Timer{clock_.Monotonic() + std::max(delay, absl::ZeroDuration()), id,
            std::move(callback)});
  SiftUp(heap_.size() - 1);
  return id;
}

void EventLoop::RemoveTimerAt(size_t index) {
  const auto slot_number = static_cast<uint32_t>(heap_[index].id);
  timer_slots_[slot_number - 1].used = false;
  free_timer_slots_.push_back(slot_number);
  if (index + 1 != heap_.size()) {
    const absl::Duration removed = heap_[index].due;
    Place(index, std::move(heap_.back()));
    heap_.pop_back();
    if (heap_[index].due < removed) {
      SiftUp(index);
    } else {
      SiftDown(index);
    }
    return;
  }
  heap_.pop_back();
}

void EventLoop::Cancel(TimerId id) {
  const auto slot_number = static_cast<uint32_t>(id);
  if (slot_number == 0 || slot_number > timer_slots_.size()) return;
  const TimerSlot& slot = timer_slots_[slot_number - 1];
  if (!slot.used || slot.generation != id >> 32) return;
  // Destroyed after the heap is whole again: its destructor may call us.
  std::function<void()> cancelled = std::move(heap_[slot.heap_index].callback);
  RemoveTimerAt(slot.heap_index);
}

void EventLoop::Post(std::function<void()> callback) {
  {
    std::lock_guard lock(posted_mutex_);
    posted_.push_back(std::move(callback));
    if (posted_.size() > 1) return;  // The first one woke the loop.
  }
  eventfd_write(wake_.get(), 1);
}

void EventLoop::AtEndOfTurn(std::function<void()> callback) {
  end_of_turn_.push_back(std::move(callback));
}

void EventLoop::Stop() {
  stop_.store(true, std::memory_order_release);
  eventfd_write(wake_.get(), 1);
}

void EventLoop::Run() {
  while (!stop_.exchange(false, std::memory_order_acq_rel)) {
    RunOnce(absl::InfiniteDuration());
  }
}

int EventLoop::WaitMilliseconds(absl::Duration wait) const {
  if (!end_of_turn_.empty()) return 0;
  if (!heap_.empty()) {
    wait = std::min(wait, heap_.front().due - clock_.Monotonic());
  }
  if (wait <= absl::ZeroDuration()) return 0;
  if (wait >= absl::Hours(1)) {
    return wait == absl::InfiniteDuration() ? -1 : 3'600'000;
  }
  // Rounded up, else a timer would spin through its last fraction.
  return static_cast<int>(absl::ToInt64Milliseconds(
      wait + absl::Milliseconds(1) - absl::Nanoseconds(1)));
}

void EventLoop::RunOnce(absl::Duration wait) {
  const int count =
      epoll_wait(epoll_.get(), ready_.data(), static_cast<int>(ready_.size()),
                 WaitMilliseconds(wait));
  now_ = clock_.Monotonic();
  if (count > 0) DispatchFds(count);
  RunDueTimers();
  RunPosted();
  RunEndOfTurn();
}

void EventLoop::DispatchFds(int count) {
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = ready_[static_cast<size_t>(i)];
    const auto index = static_cast<uint32_t>(event.data.u64);
    const auto generation = static_cast<uint32_t>(event.data.u64 >> 32);
    if (generation == 0) {
      eventfd_t ignored = 0;
      eventfd_read(wake_.get(), &ignored);
      continue;
    }
    if (index >= watches_.size() || !watches_[index].callback ||
        watches_[index].generation != generation) {
      continue;
    }
    const std::shared_ptr<FdCallback> callback = watches_[index].callback;
    (*callback)(event.events);
  }
}

void EventLoop::RunDueTimers() {
  // Timers set by these callbacks wait for the next turn, so that a callback
  // that re-arms itself with no delay cannot starve the descriptors.
  const absl::Duration until = now_;
  while (!heap_.empty() && heap_.front().due <= until) {
    std::function<void()> callback = std::move(heap_.front().callback);
    RemoveTimerAt(0);
    callback();
  }
}

void EventLoop::RunPosted() {
  std::vector<std::function<void()>> batch;
  {
    std::lock_guard lock(posted_mutex_);
    batch.swap(posted_);
  }
  for (std::function<void()>& callback : batch) callback();
}

void EventLoop::RunEndOfTurn() {
  // A callback may add another one for this same turn.
  for (size_t i = 0; i < end_of_turn_.size(); ++i) {
    std::function<void()> callback = std::move(end_of_turn_[i]);
    callback();
  }
  end_of_turn_.clear();
}

}  // namespace apm
