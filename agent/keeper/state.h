// The rules of what a keeper hands to its successor program
// (proto/apm/internal/v1/keeper_state.proto). Pure: knows numbers of
// descriptors, not descriptors.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <absl/status/status.h>

#include "apm/internal/v1/keeper_state.pb.h"

namespace apm::keeper {

// Of the meaning of the fields. A keeper takes over from its own version only.
inline constexpr uint32_t kStateVersion = 1;

// Far above what the stores can hold; what an agent that does not read leaves
// in its channel's queue may come on top.
inline constexpr size_t kMaxStateBytes = size_t{256} << 20;

// Every descriptor that `state` names.
std::vector<int> DescriptorsOf(const internal::v1::KeeperState& state);

// Whether this program can go on from `state`; else the error says what is in
// the way. What passes needs no further doubt, but that the descriptors are
// open and the processes our children.
absl::Status CheckState(const internal::v1::KeeperState& state);

}  // namespace apm::keeper
