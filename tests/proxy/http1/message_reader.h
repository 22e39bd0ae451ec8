// Reads whole requests, bodies included, from a connection's bytes, for tests:
// what a caller of the parser and the decoder does, without anything else.

#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/http1/chunked_decoder.h"
#include "proxy/http1/request_parser.h"

namespace apm::http1 {

// A request that owns its bytes.
struct Message {
  std::string method, target, path, query, host, upgrade, content;
  TargetForm form = TargetForm::kOrigin;
  Version version = Version::kHttp11;
  BodyKind body = BodyKind::kNone;
  bool keep_alive = false;
  bool expect_continue = false;
  uint32_t dropped_fields = 0;
  std::vector<std::pair<std::string, std::string>> fields;
  std::vector<std::pair<std::string, std::string>> trailers;

  friend bool operator==(const Message&, const Message&) = default;
};

class MessageReader {
 public:
  void Feed(std::string_view bytes) {
    // A new buffer each time, as small as it can be: a view kept across two
    // calls, or a byte read behind the end, shows under the sanitizers.
    std::vector<char> grown(buffer_.begin(), buffer_.end());
    grown.insert(grown.end(), bytes.begin(), bytes.end());
    grown.shrink_to_fit();
    buffer_ = std::move(grown);
    while (error_.status == 0 && Step()) {
    }
  }

  // The messages read to their end.
  const std::vector<Message>& messages() const { return messages_; }

  // Status 0 if there is none.
  const ParseError& error() const { return error_; }

  // True if the bytes do not end with a message.
  bool incomplete() const { return in_body_ || !buffer_.empty(); }

 private:
  bool Step() { return in_body_ ? StepBody() : StepHead(); }

  bool StepHead() {
    switch (parser_.Parse(buffer_)) {
      case RequestParser::Result::kNeedMore:
        return false;
      case RequestParser::Result::kError:
        error_ = parser_.error();
        return false;
      case RequestParser::Result::kComplete:
        break;
    }
    const Request& request = parser_.request();
    Take(request);
    remaining_ = request.content_length;
    in_body_ = request.body != BodyKind::kNone;
    Consume(request.head_bytes);
    parser_.Reset();
    decoder_.Reset();
    if (!in_body_) Finish();
    return true;
  }

  void Take(const Request& request) {
    message_ = Message();
    message_.method = request.method;
    message_.target = request.target;
    message_.path = request.path;
    message_.query = request.query;
    message_.host = request.host;
    message_.upgrade = request.upgrade;
    message_.form = request.form;
    message_.version = request.version;
    message_.body = request.body;
    message_.keep_alive = request.keep_alive;
    message_.expect_continue = request.expect_continue;
    message_.dropped_fields = request.dropped_fields;
    for (const Field& field : request.fields) {
      message_.fields.emplace_back(field.name, field.value);
    }
  }

  bool StepBody() {
    return message_.body == BodyKind::kLength ? StepLength() : StepChunked();
  }

  bool StepLength() {
    const size_t size = std::min<uint64_t>(remaining_, buffer_.size());
    message_.content.append(buffer_.data(), size);
    remaining_ -= size;
    Consume(size);
    if (remaining_ == 0) Finish();
    return remaining_ == 0;
  }

  bool StepChunked() {
    std::string_view input(buffer_.data(), buffer_.size());
    const ChunkedDecoder::Event event = decoder_.Next(input);
    message_.content += decoder_.data();
    Consume(buffer_.size() - input.size());
    switch (event) {
      case ChunkedDecoder::Event::kNeedMore:
        return false;
      case ChunkedDecoder::Event::kData:
        return true;
      case ChunkedDecoder::Event::kEnd:
        message_.trailers = decoder_.trailers();
        Finish();
        return true;
      case ChunkedDecoder::Event::kError:
        error_ = decoder_.error();
        return false;
    }
    return false;
  }

  void Finish() {
    in_body_ = false;
    messages_.push_back(std::move(message_));
  }

  void Consume(size_t bytes) {
    buffer_.erase(buffer_.begin(),
                  buffer_.begin() + static_cast<std::ptrdiff_t>(bytes));
  }

  RequestParser parser_;
  ChunkedDecoder decoder_;
  std::vector<char> buffer_;
  bool in_body_ = false;
  uint64_t remaining_ = 0;
  Message message_;
  std::vector<Message> messages_;
  ParseError error_;
};

}  // namespace apm::http1
