#include "agent/link_board.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/status/status_macros.h"

namespace apm::agent {
namespace {

using proxy::LinkRecord;
using proxy::RecordsBytes;
using proxy::RecordsHeader;
using proxy::SessionRecord;

constexpr auto kRelaxed = std::memory_order_relaxed;

template <typename Record>
absl::StatusOr<SharedMemory> CreateRecords(const char* name, uint64_t magic,
                                           uint32_t count) {
  APM_ASSIGN_OR_RETURN(SharedMemory memory,
                       SharedMemory::Create(name, RecordsBytes<Record>(count)));
  auto* header = reinterpret_cast<RecordsHeader*>(memory.data());
  header->record_bytes.store(sizeof(Record), kRelaxed);
  header->count.store(count, kRelaxed);
  header->magic.store(magic, std::memory_order_release);
  return memory;
}

// Maps records and reads into `count` how many they say they are: as many as
// fit, at most `most`.
template <typename Record>
absl::StatusOr<SharedMemory> MapRecords(UniqueFd fd, uint64_t magic,
                                        uint32_t most, uint32_t& count) {
  APM_ASSIGN_OR_RETURN(SharedMemory memory,
                       SharedMemory::Map(std::move(fd), sizeof(RecordsHeader)));
  const auto* header = reinterpret_cast<RecordsHeader*>(memory.data());
  const uint64_t said = header->count.load(kRelaxed);
  if (header->magic.load(std::memory_order_acquire) != magic ||
      header->record_bytes.load(kRelaxed) != sizeof(Record) || said > most ||
      RecordsBytes<Record>(static_cast<uint32_t>(said)) != memory.size()) {
    return absl::InvalidArgumentError(
        "the link records have another layout or are damaged");
  }
  count = static_cast<uint32_t>(said);
  return memory;
}

}  // namespace

absl::StatusOr<std::unique_ptr<LinkBoard>> LinkBoard::Create(
    uint32_t links, uint32_t sessions) {
  APM_ASSIGN_OR_RETURN(
      SharedMemory links_memory,
      CreateRecords<LinkRecord>("apm-links", proxy::kLinkRecordsMagic, links));
  APM_ASSIGN_OR_RETURN(
      SharedMemory sessions_memory,
      CreateRecords<SessionRecord>("apm-sessions", proxy::kSessionRecordsMagic,
                                   sessions));
  return std::unique_ptr<LinkBoard>(new LinkBoard(
      std::move(links_memory), std::move(sessions_memory), links, sessions));
}

absl::StatusOr<std::unique_ptr<LinkBoard>> LinkBoard::Adopt(UniqueFd links,
                                                            UniqueFd sessions) {
  uint32_t link_count = 0;
  APM_ASSIGN_OR_RETURN(
      SharedMemory links_memory,
      MapRecords<LinkRecord>(std::move(links), proxy::kLinkRecordsMagic,
                             proxy::kMaxLinkRecords, link_count));
  uint32_t session_count = 0;
  APM_ASSIGN_OR_RETURN(SharedMemory sessions_memory,
                       MapRecords<SessionRecord>(
                           std::move(sessions), proxy::kSessionRecordsMagic,
                           proxy::kMaxSessionRecords, session_count));
  std::unique_ptr<LinkBoard> board(new LinkBoard(std::move(links_memory),
                                                 std::move(sessions_memory),
                                                 link_count, session_count));
  for (uint32_t record = 0; record < link_count; ++record) {
    const LinkRecord& from = board->At(record);
    board->keys_[record] = {from.worker_id.load(kRelaxed),
                            from.instance.load(kRelaxed),
                            from.generation.load(kRelaxed)};
  }
  return board;
}

LinkBoard::LinkBoard(SharedMemory links_memory, SharedMemory sessions_memory,
                     uint32_t links, uint32_t sessions)
    : links_memory_(std::move(links_memory)),
      sessions_memory_(std::move(sessions_memory)),
      links_(links),
      sessions_(sessions),
      keys_(links) {}

LinkRecord& LinkBoard::At(uint32_t record) const {
  return reinterpret_cast<LinkRecord*>(links_memory_.data() +
                                       sizeof(RecordsHeader))[record];
}

absl::StatusOr<uint32_t> LinkBoard::Take(const LinkKey& link) {
  auto found = std::find(keys_.begin(), keys_.end(), link);
  if (found != keys_.end()) {
    return static_cast<uint32_t>(found - keys_.begin());
  }
  found = std::find_if(keys_.begin(), keys_.end(),
                       [](const LinkKey& key) { return key.worker_id == 0; });
  if (found == keys_.end()) {
    return absl::ResourceExhaustedError(
        "no link record is free: there are too many worker processes");
  }
  const auto record = static_cast<uint32_t>(found - keys_.begin());
  Reset(record);
  *found = link;
  LinkRecord& to = At(record);
  to.instance.store(link.instance, kRelaxed);
  to.generation.store(link.generation, kRelaxed);
  // Last: an agent that dies in between leaves a free record.
  to.worker_id.store(link.worker_id, std::memory_order_release);
  return record;
}

// The key goes first and comes last, for the same reason.
void LinkBoard::Reset(uint32_t record) {
  keys_[record] = {};
  LinkRecord& to = At(record);
  to.worker_id.store(0, std::memory_order_release);
  to.owner.store(0, kRelaxed);
  to.marks.busy_in.store(0, kRelaxed);
  to.marks.busy_out.store(0, kRelaxed);
}

void LinkBoard::Return(const LinkKey& link) {
  const auto found = std::find(keys_.begin(), keys_.end(), link);
  if (found != keys_.end()) {
    Reset(static_cast<uint32_t>(found - keys_.begin()));
  }
}

void LinkBoard::ReturnAllBut(std::span<const LinkKey> links) {
  for (uint32_t record = 0; record < links_; ++record) {
    if (keys_[record].worker_id != 0 &&
        std::find(links.begin(), links.end(), keys_[record]) == links.end()) {
      Reset(record);
    }
  }
}

LinkState LinkBoard::Judge(uint32_t record, uint64_t proxy_incarnation) const {
  const LinkRecord& link = At(record);
  const uint64_t owner = link.owner.load(kRelaxed);
  if (owner == 0) return LinkState::kUnowned;
  if (owner == proxy_incarnation) return LinkState::kLive;
  return link.marks.torn() ? LinkState::kTorn : LinkState::kClean;
}

}  // namespace apm::agent
