"""A disk that is full: a small tmpfs as the state folder, in a mount namespace
of the test's own. Needs root, and says so where it is not.
"""

import os
import pathlib
import subprocess
import sys

import pytest

SCENARIO = pathlib.Path(__file__).with_name("full_disk_scenario.py")


def may_unshare():
    """Root in a container or a chroot may not be allowed to."""
    return os.getuid() == 0 and subprocess.run(["unshare", "--mount", "true"],
                                               stderr=subprocess.DEVNULL).returncode == 0


@pytest.mark.skipif(not may_unshare(), reason="needs root, and the right to make mount namespaces")
def test_a_full_disk_stops_nothing_and_is_not_kept_secret():
    done = subprocess.run(["unshare", "--mount", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", SCENARIO],
                          capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
