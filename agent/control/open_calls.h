// The calls that wait for an answer, so that stopping the server can give them
// one: gRPC does not end before each of them has.

#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include <absl/status/status.h>

namespace apm::control {

class OpenCall {
 public:
  virtual ~OpenCall() = default;

  // Answers with an error, unless there is an answer already.
  virtual void Refuse(const absl::Status& status) = 0;
};

// Thread: any.
class OpenCalls {
 public:
  // False once RefuseAll() was called: the call must not begin.
  bool Add(const std::shared_ptr<OpenCall>& call);
  void Remove(const OpenCall* call);

  void RefuseAll(const absl::Status& status);

 private:
  // Calls begin and end on gRPC's threads, the server stops on the loop's.
  std::mutex mutex_;
  bool closed_ = false;  // Guarded by mutex_, as is calls_.
  std::unordered_map<const OpenCall*, std::weak_ptr<OpenCall>> calls_;
};

}  // namespace apm::control
