"""The reference's nginx section, with a real nginx, in a world of its own.

The worker blocks are used as they are printed there, with their ports and
paths: so the scenario runs in network and mount namespaces where the ports are
free and /opt/myapp is ours. Needs root, and says so where it is not.
"""

import os
import pathlib
import subprocess
import sys

import pytest

SCENARIO = pathlib.Path(__file__).with_name("nginx_scenario.py")


def may_unshare():
    """Root in a container or a chroot may not be allowed to."""
    return os.getuid() == 0 and subprocess.run(["unshare", "--net", "--mount", "true"],
                                               stderr=subprocess.DEVNULL).returncode == 0


@pytest.mark.skipif(not may_unshare(), reason="needs root, and the right to make namespaces")
def test_the_references_nginx_section_works_verbatim():
    script = ("set -e; ip link set lo up; ip addr add 192.0.2.1/24 dev lo; ip addr add 192.0.2.10/24 dev lo; "
              "mount -t tmpfs tmpfs /opt; "
              f"exec {sys.executable} -m pytest -q -p no:cacheprovider {SCENARIO}")
    done = subprocess.run(["unshare", "--net", "--mount", "sh", "-c", script],
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
