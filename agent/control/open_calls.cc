#include "agent/control/open_calls.h"

#include <memory>
#include <mutex>
#include <utility>

#include <absl/status/status.h>

namespace apm::control {

bool OpenCalls::Add(const std::shared_ptr<OpenCall>& call) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  calls_.emplace(call.get(), call);
  return true;
}

void OpenCalls::Remove(const OpenCall* call) {
  const std::lock_guard lock(mutex_);
  calls_.erase(call);
}

void OpenCalls::RefuseAll(const absl::Status& status) {
  decltype(calls_) calls;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    calls.swap(calls_);
  }
  for (const auto& [pointer, weak] : calls) {
    if (const std::shared_ptr<OpenCall> call = weak.lock()) {
      call->Refuse(status);
    }
  }
}

}  // namespace apm::control
