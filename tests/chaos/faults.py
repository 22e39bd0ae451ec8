"""The test's side of a fault board: base/fault/board.h has the same layout.

    board = Board(folder / "board")
    board.trace()
    ...                                        # the programs pass points
    names = board.stop_trace()
    board.arm("agent.keeper.send.1", 2)        # dies at the second visit
"""

import collections
import contextlib
import mmap
import pathlib
import re
import struct

VARIABLE = "APM_FAULT_FILE"
MAGIC = b"apmfalt1"
NAME_BYTES = 60
CAPACITY = 4096

# Offsets.
TRAP, COUNTDOWN, VICTIM, NAME = 8, 12, 16, 20
TRACING, VISITS, TRACE = 80, 84, 88
VISIT_BYTES = 4 + NAME_BYTES
SIZE = TRACE + VISIT_BYTES * CAPACITY

NONE, ARMED, SPRUNG = 0, 1, 2

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto/apm/internal/v1"


class Board:
    def __init__(self, path):
        self.path = path
        path.write_bytes(MAGIC + bytes(SIZE - len(MAGIC)))
        with open(path, "r+b") as file:
            self._memory = mmap.mmap(file.fileno(), SIZE)

    def close(self):
        with contextlib.suppress(BufferError):
            self._memory.close()

    def _get(self, offset):
        return struct.unpack_from("<i", self._memory, offset)[0]

    def _set(self, offset, value):
        struct.pack_into("<i", self._memory, offset, value)

    def trace(self):
        self._set(VISITS, 0)
        self._set(TRACING, 1)

    def stop_trace(self):
        """How often each point was visited since trace(), in order of the first visit."""
        self._set(TRACING, 0)
        count = self._get(VISITS)
        assert count <= CAPACITY, f"{count} visits: the board has room for {CAPACITY}"
        visits = collections.Counter()
        for number in range(count):
            begin = TRACE + number * VISIT_BYTES + 4
            name = self._memory[begin:begin + NAME_BYTES].split(b"\0", 1)[0]
            visits[name.decode()] += 1
        return visits

    def arm(self, name, occurrence=1):
        self._set(TRAP, NONE)
        self._memory[NAME:NAME + NAME_BYTES] = name.encode().ljust(NAME_BYTES, b"\0")
        self._set(COUNTDOWN, occurrence)
        self._set(TRAP, ARMED)

    def disarm(self):
        self._set(TRAP, NONE)

    def disarm_unless_sprung(self):
        if not self.sprung:
            self.disarm()

    @property
    def sprung(self):
        return self._get(TRAP) == SPRUNG

    @property
    def victim(self):
        return self._get(VICTIM)


def _fields_of(file, message):
    """Field numbers of a message's oneof, by its text."""
    text = (PROTO / file).read_text()
    body = re.search(rf"^message {message} {{.*?^}}", text, re.DOTALL | re.MULTILINE)[0]
    return {int(number): name for name, number in re.findall(r"(\w+) = (\d+);", body)}


_FAMILIES = {
    "agent.keeper.send": ("keeper.proto", "ToKeeper"),
    "agent.keeper.sent": ("keeper.proto", "ToKeeper"),
    "agent.keeper.heard": ("keeper.proto", "FromKeeper"),
    "agent.proxy.send": ("proxy.proto", "ToProxy"),
    "agent.proxy.sent": ("proxy.proto", "ToProxy"),
    "agent.proxy.heard": ("proxy.proto", "FromProxy"),
    "proxy.agent.heard": ("proxy.proto", "ToProxy"),
    "proxy.agent.obeyed": ("proxy.proto", "ToProxy"),
}


def readable(point):
    """A point with its message's name for the number."""
    family, _, number = point.rpartition(".")
    if family not in _FAMILIES:
        return point
    return f"{family}.{_fields_of(*_FAMILIES[family]).get(int(number), number)}"


def victim_of(point):
    """The program that passes a point."""
    return "apm-" + point.split(".", 1)[0]
