#include "agent/definition_hash.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace apm::agent {
namespace {

// FNV-1a; each text with its end, so that {"ab"} and {"a","b"} differ.
class Hash {
 public:
  void Add(std::string_view text) {
    for (const char c : text) AddByte(static_cast<uint8_t>(c));
    AddByte(0);
  }
  void Add(uint64_t number) {
    for (int shift = 0; shift < 64; shift += 8) {
      AddByte(static_cast<uint8_t>(number >> shift));
    }
  }
  uint64_t value() const { return value_ == 0 ? 1 : value_; }

 private:
  void AddByte(uint8_t byte) { value_ = (value_ ^ byte) * 0x100000001b3; }

  uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace

uint64_t DefinitionHash(const config::WorkerConfig& config,
                        const RunAs& run_as) {
  Hash hash;
  hash.Add(config.exec);
  hash.Add(config.params.size());
  for (const std::string& param : config.params) hash.Add(param);
  hash.Add(config.path);
  for (const auto& [name, value] : config.env) {
    hash.Add(name);
    hash.Add(value);
  }
  hash.Add(config.listeners.empty() ? 0 : 1);  // Its stdin and stdout.
  hash.Add(run_as.identity.uid);
  hash.Add(run_as.identity.gid);
  return hash.value();
}

}  // namespace apm::agent
