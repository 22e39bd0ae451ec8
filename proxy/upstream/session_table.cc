#include "proxy/upstream/session_table.h"

#include <string.h>
#include <sys/random.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <absl/strings/str_format.h>

namespace apm::upstream {
namespace {

constexpr char kHex[] = "0123456789abcdef";
// An id is prefix (17), slot (8), "-" and 16 random digits at most.
static_assert(17 + 8 + 1 + 16 <= kMaxSessionIdBytes);
// A slot whose saved data was large gives the memory back.
constexpr size_t kKeptDataBytes = 1024;

std::string FormatPrefix(uint64_t incarnation) {
  return absl::StrFormat("%x-", incarnation);
}

// What follows the prefix. Returns its end.
char* WriteRest(uint32_t slot, uint64_t random, char* to) {
  to = std::to_chars(to, to + 8, slot, 16).ptr;
  *to++ = '-';
  for (int i = 0; i < 16; ++i, random >>= 4) *to++ = kHex[random & 15];
  return to;
}

}  // namespace

std::string FormatSessionId(uint64_t incarnation, uint32_t slot,
                            uint64_t random) {
  char rest[kMaxSessionIdBytes];
  return FormatPrefix(incarnation).append(rest, WriteRest(slot, random, rest));
}

SessionTable::SessionTable() { SetIncarnation(0); }

void SessionTable::SetIncarnation(uint64_t incarnation) {
  incarnation_ = incarnation;
  prefix_ = FormatPrefix(incarnation);
}

uint64_t SessionTable::Random() {
  if (random_left_ == 0) {
    // Cannot fail or block for so few bytes once the system is up.
    if (getrandom(random_.data(), sizeof random_, 0) < 0) random_.fill(0);
    random_left_ = random_.size();
  }
  return random_[--random_left_];
}

Session& SessionTable::Open() {
  if (free_.empty()) {
    slots_.push_back(std::make_unique<Session>());
    slots_.back()->slot = static_cast<uint32_t>(slots_.size() - 1);
    free_.push_back(slots_.back()->slot);
  }
  Session& session = *slots_[free_.back()];
  free_.pop_back();

  session.random = Random();
  memcpy(session.id_text, prefix_.data(), prefix_.size());
  const char* end =
      WriteRest(session.slot, session.random, session.id_text + prefix_.size());
  session.id_size = static_cast<uint8_t>(end - session.id_text);
  return session;
}

void SessionTable::Free(Session& session) {
  session.announced = session.answered = session.retried = false;
  session.holds_credit = false;
  session.worker = nullptr;
  session.instance = nullptr;
  session.peer = nullptr;
  session.saved_data.clear();
  if (session.saved_data.capacity() > kKeptDataBytes) {
    session.saved_data.shrink_to_fit();
  }
  free_.push_back(session.slot);
}

Session* SessionTable::Find(std::string_view id) const {
  if (id.size() <= prefix_.size() || id.size() > kMaxSessionIdBytes) {
    return nullptr;
  }
  uint32_t slot = 0;
  const char* begin = id.data() + prefix_.size();
  const auto parsed = std::from_chars(begin, id.data() + id.size(), slot, 16);
  if (parsed.ptr == begin || slot >= slots_.size()) return nullptr;
  Session& session = *slots_[slot];
  return session.peer != nullptr && session.id() == id ? &session : nullptr;
}

}  // namespace apm::upstream
