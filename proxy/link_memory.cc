#include "proxy/link_memory.h"

#include <atomic>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/status/status_macros.h"

namespace apm::proxy {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

template <typename Record>
absl::StatusOr<SharedMemory> MapRecords(UniqueFd fd, uint64_t magic,
                                        uint32_t count, uint32_t most) {
  if (count > most) {
    return absl::InvalidArgumentError("more link records than are allowed");
  }
  APM_ASSIGN_OR_RETURN(
      SharedMemory memory,
      SharedMemory::Map(std::move(fd), RecordsBytes<Record>(count)));
  const auto* header = reinterpret_cast<RecordsHeader*>(memory.data());
  if (header->magic != magic || header->record_bytes != sizeof(Record) ||
      header->count != count) {
    return absl::InvalidArgumentError("the link records have another layout");
  }
  return memory;
}

template <typename Record>
std::span<Record> RecordsIn(const SharedMemory& memory, uint32_t count) {
  return {reinterpret_cast<Record*>(memory.data() + sizeof(RecordsHeader)),
          count};
}

}  // namespace

absl::Status LinkMemory::Use(UniqueFd links, uint32_t link_count,
                             UniqueFd sessions, uint32_t session_count) {
  APM_ASSIGN_OR_RETURN(
      SharedMemory links_memory,
      MapRecords<LinkRecord>(std::move(links), kLinkRecordsMagic, link_count,
                             kMaxLinkRecords));
  APM_ASSIGN_OR_RETURN(
      SharedMemory sessions_memory,
      MapRecords<SessionRecord>(std::move(sessions), kSessionRecordsMagic,
                                session_count, kMaxSessionRecords));
  if (links_memory_.data() != nullptr) {
    if (links_memory_.SameAs(links_memory) &&
        sessions_memory_.SameAs(sessions_memory)) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(
        "the agent has made new link records; those in use stay");
  }
  links_memory_ = std::move(links_memory);
  sessions_memory_ = std::move(sessions_memory);
  links_ = RecordsIn<LinkRecord>(links_memory_, link_count);
  sessions_ = RecordsIn<SessionRecord>(sessions_memory_, session_count);
  untouched_ = sessions_.data();
  NoteDead();
  return absl::OkStatus();
}

void LinkMemory::NoteDead() {
  for (SessionRecord& record : sessions_) {
    if (record.incarnation.load(kRelaxed) == 0) continue;
    dead_[record.link.load(kRelaxed)].push_back(&record);
  }
}

LinkRecord* LinkMemory::link(uint32_t number) {
  return number < links_.size() ? &links_[number] : nullptr;
}

SessionRecord* LinkMemory::TakeSession() {
  if (!returned_.empty()) {
    SessionRecord* record = returned_.back();
    returned_.pop_back();
    return record;
  }
  SessionRecord* const end = sessions_.data() + sessions_.size();
  while (untouched_ != end) {
    SessionRecord* record = untouched_++;
    if (record->incarnation.load(kRelaxed) == 0) return record;
  }
  return nullptr;
}

void LinkMemory::ReturnSession(SessionRecord& record) {
  record.incarnation.store(0, kRelaxed);
  // A dead one that lies behind is found there.
  if (&record < untouched_) returned_.push_back(&record);
}

std::vector<SessionRecord*> LinkMemory::TakeDead(uint32_t link) {
  auto found = dead_.extract(link);
  return found.empty() ? std::vector<SessionRecord*>()
                       : std::move(found.mapped());
}

void LinkMemory::ForgetDead() {
  for (const auto& [link, records] : dead_) {
    for (SessionRecord* record : records) ReturnSession(*record);
  }
  dead_.clear();
}

}  // namespace apm::proxy
