// A worker that starts in a millisecond, as the walk starts thousands: says
// hello and answers every HTTP session with its pid. The pipe protocol as
// ipc/README.md tells it, written down once more without our own code.

#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

constexpr size_t kPrefixBytes = 5;  // 0x05 and the length.

void Send(std::string_view head, std::string_view payload) {
  const auto length = static_cast<uint32_t>(head.size() + 1 + payload.size());
  std::string frame = "\x05";
  for (int shift = 24; shift >= 0; shift -= 8) {
    frame += static_cast<char>(length >> shift);
  }
  frame += head;
  frame += '\x03';
  frame += payload;
  // Frames this small are taken by a pipe in one piece.
  if (write(STDOUT_FILENO, frame.data(), frame.size()) < 0) exit(0);
}

// Of a frame to the worker the 0x03 is not counted; 0 while it is incomplete.
size_t FrameSize(std::string_view bytes) {
  if (bytes.size() < kPrefixBytes) return 0;
  uint32_t length = 0;
  for (size_t i = 1; i < kPrefixBytes; ++i) {
    length = length << 8 | static_cast<unsigned char>(bytes[i]);
  }
  const size_t size = kPrefixBytes + length + 1;
  return bytes.size() < size ? 0 : size;
}

// The value of a key whose value is a string; empty if it is not there.
std::string_view Find(std::string_view head, std::string_view key) {
  const std::string quoted = '"' + std::string(key) + "\":\"";
  const size_t begin = head.find(quoted);
  if (begin == std::string_view::npos) return {};
  const std::string_view value = head.substr(begin + quoted.size());
  return value.substr(0, value.find('"'));
}

void Answer(std::string_view frame) {
  const std::string_view head = frame.substr(0, frame.find('\x03'));
  if (Find(head, "_sessionType") != "new") return;
  const std::string session =
      ",\"_session\":\"" + std::string(Find(head, "_sessionId")) + "\"";
  Send(R"({"_command":"write","x-status":"200")" + session + "}",
       std::to_string(getpid()));
  Send(R"({"_command":"closeConnection")" + session + "}", "");
}

}  // namespace

int main() {
  Send(R"({"_command":"hello","connector":"walk/1","concurrency":64})", "");
  std::string input;
  char piece[65536];
  for (ssize_t size = 0;
       (size = read(STDIN_FILENO, piece, sizeof piece)) > 0;) {
    input.append(piece, static_cast<size_t>(size));
    while (const size_t frame = FrameSize(input)) {
      Answer(std::string_view(input).substr(0, frame));
      input.erase(0, frame);
    }
  }
  return 0;
}
