"""Worker blocks that several tests use."""

from harness import WORKERS


def node(name="web", server="http://127.0.0.1:0", extra=""):
    return f"worker {{ name {name}; exec node; params {WORKERS}/server.js; server {server}; {extra} }}\n"


def python(name="py", server="http://127.0.0.1:0", extra=""):
    return f"worker {{ name {name}; exec python3; params {WORKERS}/server.py; server {server}; {extra} }}\n"


def original(name="old", server="http://127.0.0.1:0", extra=""):
    return f"worker {{ name {name}; exec python3; params {WORKERS}/original.py; server {server}; {extra} }}\n"


def plain(name, command, extra=""):
    """A worker without a proxy that runs a shell command."""
    escaped = command.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'worker {{ name {name}; exec /bin/sh; params -c "{escaped}"; {extra} }}\n'
