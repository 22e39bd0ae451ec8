// An answer to a command that changed what is wanted of the node: it leaves
// when the command is done and the change is stored, whichever comes last. A
// change that cannot be stored is in effect all the same, and the answer says
// so.

#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "agent/agent_api.h"

namespace apm::agent {

// `T` has `std::vector<std::string> warnings`. Shared by the two who finish
// it. Thread: the main loop's.
template <typename T>
class DurableAnswer {
 public:
  explicit DurableAnswer(ApiCallback<T> done) : done_(std::move(done)) {}

  void OnStored(const absl::Status& stored) {
    stored_ = stored;
    SendIfComplete();
  }
  void OnDone(absl::StatusOr<T> result) {
    result_ = std::move(result);
    SendIfComplete();
  }
  void OnFailed(const absl::Status& status) {
    result_.emplace(status);
    SendIfComplete();
  }

 private:
  void SendIfComplete() {
    if (!stored_ || !result_) return;
    absl::StatusOr<T> result = std::move(*result_);
    if (result.ok() && !stored_->ok()) {
      result->warnings.push_back(std::string(stored_->message()));
    }
    std::exchange(done_, nullptr)(std::move(result));
  }

  ApiCallback<T> done_;
  std::optional<absl::Status> stored_;
  std::optional<absl::StatusOr<T>> result_;
};

}  // namespace apm::agent
