#include "proxy/upstream/worker_traits.h"

#include <algorithm>
#include <string_view>

#include "ipc/worker_head.h"

namespace apm::upstream {
namespace {

// At most that many bytes, and no half a character at the end.
std::string_view Cut(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  const auto continues = [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
  };
  while (bytes > 0 && continues(text[bytes])) --bytes;
  return text.substr(0, bytes);
}

}  // namespace

WorkerTraits TraitsOf(const ipc::WorkerHead& hello) {
  WorkerTraits traits;
  traits.connector = Cut(hello.connector, kMaxConnectorBytes);
  if (hello.concurrency) traits.concurrency = std::max(*hello.concurrency, 1u);
  for (const std::string_view feature : hello.features) {
    if (traits.features.size() == kMaxFeatures) break;
    if (feature.size() <= kMaxFeatureBytes)
      traits.features.emplace_back(feature);
  }
  return traits;
}

}  // namespace apm::upstream
