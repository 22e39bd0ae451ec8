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

}  // namespace

SessionTable::SessionTable() { SetIncarnation(0); }

void SessionTable::SetIncarnation(uint64_t incarnation) {
  prefix_ = absl::StrFormat("%x-", incarnation);
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

  char* to = session.id_text;
  memcpy(to, prefix_.data(), prefix_.size());
  to += prefix_.size();
  to = std::to_chars(to, to + 8, session.slot, 16).ptr;
  *to++ = '-';
  uint64_t random = Random();
  for (int i = 0; i < 16; ++i, random >>= 4) *to++ = kHex[random & 15];
  session.id_size = static_cast<uint8_t>(to - session.id_text);
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
