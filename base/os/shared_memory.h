// Memory that several processes map and that outlives each of them: a memfd
// that is sealed against resizing, so that none can make another one fault
// past its end (memfd_create(2), F_ADD_SEALS in fcntl(2)).

#pragma once

#include <cstddef>

#include <absl/status/statusor.h>

#include "base/os/unique_fd.h"

namespace apm {

// Move-only; unmaps at its end. Thread-compatible.
class SharedMemory {
 public:
  SharedMemory() = default;  // Maps nothing.
  SharedMemory(SharedMemory&& other) noexcept;
  SharedMemory& operator=(SharedMemory&& other) noexcept;
  ~SharedMemory();

  // New memory, all zeros. `name` shows in /proc/<pid>/fd.
  static absl::StatusOr<SharedMemory> Create(const char* name, size_t bytes);

  // Memory that another process made: all of it. kInvalidArgument if it has
  // fewer than `least_bytes`, or may still shrink.
  static absl::StatusOr<SharedMemory> Map(UniqueFd fd, size_t least_bytes);

  int fd() const { return fd_.get(); }
  char* data() const { return data_; }  // Aligned to a page; null: nothing.
  size_t size() const { return size_; }

  // Do both map the same memory, by whatever descriptors?
  bool SameAs(const SharedMemory& other) const;

 private:
  static absl::StatusOr<SharedMemory> MapAll(UniqueFd fd, size_t bytes);

  UniqueFd fd_;
  char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace apm
