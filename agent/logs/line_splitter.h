// Cuts a stream of bytes into lines of bounded length. Pure.

#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace apm::logs {

class LineSplitter {
 public:
  // Gets a line without its newline; the view is valid during the call.
  using Sink = std::function<void(std::string_view line)>;

  // Hands on every line that is complete with `bytes`, and a piece of
  // kMaxLineBytes of one that is longer than that.
  void Append(std::string_view bytes, const Sink& sink);

  // The stream has ended: a line without newline is a line too.
  void Finish(const Sink& sink);

 private:
  std::string partial_;  // At most kMaxLineBytes.
};

}  // namespace apm::logs
