// Two offsets are published, each by one store: `begin` before the bytes of
// dropped records are written over, `end` after a new record is whole. Release
// order is all it takes: the reader comes after the writer's death, and a
// process dies between two instructions.

#include "agent/events/event_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/events/event_codec.h"
#include "base/os/errno_status.h"
#include "base/status/status_macros.h"

namespace apm::events {
namespace {

constexpr uint64_t kMagic = 0x41504d45564e5431;  // "APMEVNT1"
constexpr size_t kLengthBytes = sizeof(uint32_t);
constexpr size_t kMemoryBytes = kRingHeaderBytes + kRingBytes;
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW;

// A number that no ring reaches; above it is damage.
constexpr uint64_t kMaxSequence = uint64_t{1} << 62;

static_assert(kMaxRecordBytes + kLengthBytes < kRingBytes);

absl::StatusOr<void*> Map(int fd) {
  void* memory =
      mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return ErrnoStatus(errno, "map the events");
  return memory;
}

absl::Status NotARing() {
  return absl::DataLossError("the memory is no ring of events of this version");
}

}  // namespace

struct alignas(kRingHeaderBytes) EventRing::Header {
  uint64_t magic;
  uint64_t layout;  // kMemoryBytes: a version that changes more renames us.
  std::atomic<uint64_t> epoch;
  std::atomic<uint64_t> begin;
  std::atomic<uint64_t> end;
};

absl::StatusOr<std::unique_ptr<EventRing>> EventRing::Create(uint64_t epoch) {
  UniqueFd fd(memfd_create("apm-events", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return ErrnoStatus(errno, "create the events' memfd");
  if (ftruncate(fd.get(), static_cast<off_t>(kMemoryBytes)) != 0 ||
      fcntl(fd.get(), F_ADD_SEALS, kSeals | F_SEAL_SEAL) != 0) {
    return ErrnoStatus(errno, "size the events' memfd");
  }
  APM_ASSIGN_OR_RETURN(void* memory, Map(fd.get()));
  std::unique_ptr<EventRing> ring(new EventRing(std::move(fd), memory));
  ring->Initialise(epoch);
  return ring;
}

absl::StatusOr<std::unique_ptr<EventRing>> EventRing::Adopt(
    UniqueFd fd, uint64_t fresh_epoch) {
  struct stat file {};
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals || fstat(fd.get(), &file) != 0 ||
      file.st_size != static_cast<off_t>(kMemoryBytes)) {
    return NotARing();
  }
  APM_ASSIGN_OR_RETURN(void* memory, Map(fd.get()));
  std::unique_ptr<EventRing> ring(new EventRing(std::move(fd), memory));
  if (!ring->LoadHeader()) return NotARing();
  if (!ring->LoadRecords()) {
    ring->epoch_ = fresh_epoch;
    ring->header_->epoch.store(ring->epoch_, std::memory_order_release);
    ring->header_->end.store(ring->end_, std::memory_order_release);
  }
  return ring;
}

EventRing::EventRing(UniqueFd fd, void* memory)
    : fd_(std::move(fd)),
      header_(static_cast<Header*>(memory)),
      ring_(static_cast<char*>(memory) + kRingHeaderBytes) {}

EventRing::~EventRing() { munmap(header_, kMemoryBytes); }

void EventRing::Initialise(uint64_t epoch) {
  new (header_) Header{};
  header_->layout = kMemoryBytes;
  header_->epoch.store(epoch, std::memory_order_release);
  header_->magic = kMagic;
  epoch_ = epoch;
}

bool EventRing::LoadHeader() {
  epoch_ = header_->epoch.load(std::memory_order_acquire);
  begin_ = header_->begin.load(std::memory_order_acquire);
  end_ = header_->end.load(std::memory_order_acquire);
  return header_->magic == kMagic && header_->layout == kMemoryBytes &&
         epoch_ != 0 && begin_ <= end_ && end_ - begin_ <= kRingBytes &&
         end_ < kMaxSequence;
}

bool EventRing::LoadRecords() {
  uint64_t position = begin_;
  while (position != end_) {
    const std::optional<std::string> record = ReadRecord(position);
    const std::optional<Event> event =
        record ? Decode(*record) : std::optional<Event>();
    const uint64_t sequence = event ? event->cursor.sequence : 0;
    const bool follows =
        positions_.empty()
            ? sequence > 0 && sequence < kMaxSequence
            : sequence == next_ && positions_.size() < kMaxEvents;
    if (!follows) {
      end_ = position;
      return false;
    }
    positions_.push_back(position);
    next_ = sequence + 1;
    position += kLengthBytes + record->size();
  }
  // The newest event is never dropped: a ring without any has had none.
  return end_ == 0 || !positions_.empty();
}

std::optional<std::string> EventRing::ReadRecord(uint64_t position) const {
  uint32_t size = 0;
  if (end_ - position < kLengthBytes) return std::nullopt;
  CopyOut(position, kLengthBytes, reinterpret_cast<char*>(&size));
  if (size > kMaxRecordBytes || size > end_ - position - kLengthBytes) {
    return std::nullopt;
  }
  std::string record(size, '\0');
  CopyOut(position + kLengthBytes, size, record.data());
  return record;
}

Cursor EventRing::Append(Event event) {
  CutToLimits(event);
  event.cursor = {epoch_, next_};
  std::string record(kLengthBytes, '\0');
  Encode(event, record);
  const auto size = static_cast<uint32_t>(record.size() - kLengthBytes);
  memcpy(record.data(), &size, kLengthBytes);

  while (positions_.size() >= kMaxEvents ||
         end_ + record.size() - begin_ > kRingBytes) {
    DropOldest();
  }
  CopyIn(end_, record);
  positions_.push_back(end_);
  end_ += record.size();
  ++next_;
  header_->end.store(end_, std::memory_order_release);
  return event.cursor;
}

std::optional<Event> EventRing::At(uint64_t sequence) const {
  const uint64_t position = positions_[sequence - first()];
  const std::optional<std::string> record = ReadRecord(position);
  if (!record) return std::nullopt;
  std::optional<Event> event = Decode(*record);
  if (!event || event->cursor.sequence != sequence) return std::nullopt;
  event->cursor.epoch = epoch_;
  return event;
}

void EventRing::DropOldest() {
  positions_.pop_front();
  begin_ = positions_.empty() ? end_ : positions_.front();
  header_->begin.store(begin_, std::memory_order_relaxed);
  // Not after the bytes that will be written over.
  std::atomic_thread_fence(std::memory_order_release);
}

void EventRing::CopyIn(uint64_t position, std::string_view bytes) {
  const size_t offset = position % kRingBytes;
  const size_t before_wrap = std::min(bytes.size(), kRingBytes - offset);
  memcpy(ring_ + offset, bytes.data(), before_wrap);
  memcpy(ring_, bytes.data() + before_wrap, bytes.size() - before_wrap);
}

void EventRing::CopyOut(uint64_t position, size_t size, char* to) const {
  const size_t offset = position % kRingBytes;
  const size_t before_wrap = std::min(size, kRingBytes - offset);
  memcpy(to, ring_ + offset, before_wrap);
  memcpy(to + before_wrap, ring_, size - before_wrap);
}

}  // namespace apm::events
