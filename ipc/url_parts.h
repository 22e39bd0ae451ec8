// The parts of a request that workers are handed ready-made: the segments of
// its path, its query parameters, its cookies. Pure functions; README.md
// ("Derived fields") states the rules, since lean connectors compute the same.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "ipc/frame.h"

namespace apm::ipc {

// Appends `text` with each %XX replaced by its byte, `+` by a space if
// `plus_is_space`. A percent sign without two hex digits stays as it is.
void AppendPercentDecoded(std::string_view text, bool plus_is_space,
                          std::string& out);

// Holds the decoded parts of one request; each Parse replaces the one before,
// so that a parser that lives long allocates rarely.
//
// Thread-compatible.
class UrlParts {
 public:
  // The results are views into the argument or into this object.

  // The segments of `path`, split on `/`, then decoded; empty ones are left
  // out: "/a//b%20c/" is "a", "b c".
  const std::vector<std::string_view>& ParsePath(std::string_view path);

  // The parameters of `query`, split on `&` and the first `=`, then decoded
  // with `+` as a space; empty parts are left out. Equal names are adjacent,
  // in the order of their first appearance.
  const std::vector<Field>& ParseQuery(std::string_view query);

  // The cookies of a Cookie header (RFC 6265, 4.2.1), split on `;` and the
  // first `=`, trimmed, unquoted, values decoded. Parts without `=` or name
  // are left out. Of equal names the first counts.
  const std::vector<Field>& ParseCookies(std::string_view header);

 private:
  void Start(std::string_view text);
  std::string_view Decode(std::string_view text, bool plus_is_space);
  // Fills order_ and first_of_name_; true if a name occurs twice.
  bool FindFirstOfName();
  void CopyInOrder();

  std::string decoded_;
  std::vector<std::string_view> segments_;
  std::vector<Field> fields_;
  std::vector<size_t> order_;          // Indices into fields_.
  std::vector<size_t> first_of_name_;  // Of each field: an index into fields_.
  std::vector<Field> reordered_;
};

}  // namespace apm::ipc
