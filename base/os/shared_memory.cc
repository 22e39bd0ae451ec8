#include "base/os/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/os/errno_status.h"

namespace apm {

SharedMemory::SharedMemory(SharedMemory&& other) noexcept
    : fd_(std::move(other.fd_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

SharedMemory& SharedMemory::operator=(SharedMemory&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SharedMemory::~SharedMemory() {
  if (data_ != nullptr) munmap(data_, size_);
}

absl::StatusOr<SharedMemory> SharedMemory::Create(const char* name,
                                                  size_t bytes) {
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd) return ErrnoStatus(errno, "create shared memory");
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0 ||
      fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) !=
          0) {
    return ErrnoStatus(errno, "size shared memory");
  }
  return MapAll(std::move(fd), bytes);
}

absl::StatusOr<SharedMemory> SharedMemory::Map(UniqueFd fd,
                                               size_t least_bytes) {
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) {
    return ErrnoStatus(errno, "stat shared memory");
  }
  const int seals = fcntl(fd.get(), F_GET_SEALS);
  const auto bytes = static_cast<size_t>(info.st_size);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || bytes < least_bytes) {
    return absl::InvalidArgumentError(
        "shared memory is too small, or not sealed against shrinking");
  }
  return MapAll(std::move(fd), bytes);
}

absl::StatusOr<SharedMemory> SharedMemory::MapAll(UniqueFd fd, size_t bytes) {
  void* address =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return ErrnoStatus(errno, "map shared memory");
  SharedMemory memory;
  memory.fd_ = std::move(fd);
  memory.data_ = static_cast<char*>(address);
  memory.size_ = bytes;
  return memory;
}

bool SharedMemory::SameAs(const SharedMemory& other) const {
  struct stat ours {};
  struct stat theirs {};
  return fstat(fd(), &ours) == 0 && fstat(other.fd(), &theirs) == 0 &&
         ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

}  // namespace apm
