"""A small WebSocket client (RFC 6455), so that tests see every byte."""

import base64
import os
import struct


class Closed(Exception):
    def __init__(self, code, reason):
        super().__init__(f"closed with {code} {reason!r}")
        self.code, self.reason = code, reason


class WebSocket:
    def __init__(self, connection, path="/", headers=None, host="test"):
        self.socket = connection
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
                 f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        self.head = head.decode("latin-1")
        self.status = int(self.head.split()[1])

    def _more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise Closed(1006, "connection ended")
        self.buffer += piece

    def _take(self, count):
        while len(self.buffer) < count:
            self._more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send(self, message, *, opcode=None, final=True):
        if opcode is None:
            opcode = 1 if isinstance(message, str) else 2
        data = message.encode() if isinstance(message, str) else message
        mask = os.urandom(4)
        first = (0x80 if final else 0) | opcode
        if len(data) < 126:
            head = struct.pack("!BB", first, 0x80 | len(data))
        elif len(data) < 65536:
            head = struct.pack("!BBH", first, 0x80 | 126, len(data))
        else:
            head = struct.pack("!BBQ", first, 0x80 | 127, len(data))
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
        self.socket.sendall(head + mask + masked)

    def receive(self):
        """The next message: str or bytes. Answers pings; raises Closed."""
        while True:
            first, second = self._take(2)
            length = second & 0x7F
            if length == 126:
                length, = struct.unpack("!H", self._take(2))
            elif length == 127:
                length, = struct.unpack("!Q", self._take(8))
            data = self._take(length)
            opcode = first & 0x0F
            if opcode == 8:
                code = struct.unpack("!H", data[:2])[0] if data else 1005
                raise Closed(code, data[2:].decode())
            if opcode == 9:
                self.send(data, opcode=10)
            elif opcode == 1:
                return data.decode()
            elif opcode == 2:
                return data

    def close(self, code=1000):
        self.send(struct.pack("!H", code), opcode=8)
