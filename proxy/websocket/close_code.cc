#include "proxy/websocket/close_code.h"

namespace apm::websocket {

bool IsSendableCloseCode(uint16_t code) {
  if (code >= 1000 && code <= 1014) {
    // 1004 is reserved; 1005 and 1006 tell the application of a frame that
    // never was.
    return code < 1004 || code > 1006;
  }
  return code >= 3000 && code <= 4999;
}

}  // namespace apm::websocket
