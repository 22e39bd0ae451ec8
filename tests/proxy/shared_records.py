"""The memory that agent and proxy share, as the agent makes and reads it."""

import fcntl
import mmap
import os
import struct

F_ADD_SEALS, F_SEAL_SHRINK, F_SEAL_GROW = 1033, 2, 4

# Layout: proxy/counters.h.
HEADER_FIELDS = ["magic", "layout", "connections_opened", "connections_closed",
                 "accept_errors", "bad_requests", "proxy"]
WORKER_FIELDS = [
    "requests", "requests_done", "queued", "unqueued", "responses_1xx",
    "responses_2xx", "responses_3xx", "responses_4xx", "responses_5xx",
    "responses_502", "responses_503", "responses_504", "websocket_opened",
    "websocket_closed", "bytes_in", "bytes_out", "frames_in", "frames_out",
    "frames_bad", "late_frames", "stray_bytes", "stray_dropped_bytes",
    "forwarded_invalid", "headers_dropped", "slow_clients_cut", "retries"]
HEADER_BYTES, WORKER_BYTES = 64, 256
MAGIC = 0x41504D434E545231

# Layout: proxy/link_records.h.
LINK_MAGIC, SESSION_MAGIC = 0x41504D4C494E4B31, 0x41504D5345535331
LINK_BYTES, SESSION_BYTES = 64, 24


class Counters:
    """The counter memfd, as the agent makes and reads it."""

    def __init__(self, slots=4):
        size = HEADER_BYTES + slots * WORKER_BYTES
        self.fd = os.memfd_create("counters", os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, size)
        fcntl.fcntl(self.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)
        self.map = mmap.mmap(self.fd, size)
        self.slots = slots
        self.map[:16] = struct.pack("=QQ", MAGIC,
                                    HEADER_BYTES << 32 | WORKER_BYTES)

    def _read(self, offset):
        return struct.unpack_from("=Q", self.map, offset)[0]

    def header(self, name):
        return self._read(8 * HEADER_FIELDS.index(name))

    def worker(self, name, slot=0):
        return self._read(HEADER_BYTES + slot * WORKER_BYTES +
                          8 * WORKER_FIELDS.index(name))


class Records:
    """One of the two memfds that a proxy leaves to the next one."""

    def __init__(self, magic, record_bytes, count, sealed=True):
        size = HEADER_BYTES + count * record_bytes
        self.count, self.record_bytes = count, record_bytes
        self.fd = os.memfd_create("records", os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, size)
        if sealed:
            fcntl.fcntl(self.fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)
        self.map = mmap.mmap(self.fd, size)
        self.map[:24] = struct.pack("=QQQ", magic, record_bytes, count)

    def offset(self, number):
        return HEADER_BYTES + number * self.record_bytes

    def close(self):
        self.map.close()
        os.close(self.fd)


class LinkRecords:
    """The link and session records, as the agent makes and reads them."""

    def __init__(self, links=64, sessions=1024):
        self.links = Records(LINK_MAGIC, LINK_BYTES, links)
        self.sessions = Records(SESSION_MAGIC, SESSION_BYTES, sessions)
        self.numbers = {}

    def number(self, key):
        """The record of a process: the same one each time."""
        return self.numbers.setdefault(tuple(sorted(key.items())),
                                       len(self.numbers))

    def replace(self, old, new):
        """A new process gets the record of one that has gone."""
        number = self.numbers.pop(tuple(sorted(old.items())))
        self.numbers[tuple(sorted(new.items()))] = number
        at = self.links.offset(number)
        self.links.map[at:at + LINK_BYTES] = bytes(LINK_BYTES)

    def link(self, key):
        """(owner, busy_in, busy_out)"""
        return struct.unpack_from("=QII", self.links.map,
                                  self.links.offset(self.number(key)))

    def torn(self, key):
        return any(self.link(key)[1:])

    def session_ids(self):
        """Of all records that count, whoever their proxy is."""
        ids = []
        for number in range(self.sessions.count):
            incarnation, random, slot, _ = struct.unpack_from(
                "=QQII", self.sessions.map, self.sessions.offset(number))
            if incarnation:
                digits = f"{random:016x}"[::-1]  # The last one first.
                ids.append(f"{incarnation:x}-{slot:x}-{digits}")
        return ids

    def close(self):
        self.links.close()
        self.sessions.close()
