"""Tools that judge us; a test that needs one that is missing says so."""

from __future__ import annotations

import shutil
import signal

import pytest

# A shell that starts us in the background has Ctrl-C ignored, and so would what tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def qemu_img() -> str:
    path = shutil.which("qemu-img")
    if path is None:
        pytest.skip("qemu-img is not installed (apt-get install qemu-utils)")
    return path
