"""A worker as the original's guide says to write one: its codec, no hello, and
not a word before the first request."""

import json
import os
import struct
import sys

stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
buffer = b""


def send_frame(session_id, header, binary=b""):
    text = json.dumps({**header, "_session": session_id}).encode()
    length = len(text) + 1 + len(binary)  # +1 for 0x03
    stdout.write(b"\x05" + struct.pack(">I", length) + text + b"\x03" + binary)
    stdout.flush()


def fill():
    global buffer
    data = os.read(stdin.fileno(), 4096)
    if not data:
        sys.exit(0)
    buffer += data


def read_frame():
    global buffer
    while len(buffer) < 5:
        fill()
    frame_length = struct.unpack(">I", buffer[1:5])[0] + 6
    while len(buffer) < frame_length:
        fill()
    frame, buffer = buffer[:frame_length], buffer[frame_length:]
    separator = frame.index(0x03, 5)
    return json.loads(frame[5:separator]), frame[separator + 1:]


while True:
    header, payload = read_frame()
    session_id = header["_sessionId"]
    if header.get("_type") == "data" and header.get("dataType") == "text":
        send_frame(session_id, {"_command": "write", "dataType": "text"}, payload)
    elif header.get("_sessionType") == "new" and header["protocol"] == "http":
        send_frame(session_id, {"_command": "write", "content-type": "text/plain"}, b"original")
        send_frame(session_id, {"_command": "closeConnection"})
