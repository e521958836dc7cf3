"""Tools that judge us; a test that needs one that is missing says so."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture(scope="session")
def qemu_img() -> str:
    path = shutil.which("qemu-img")
    if path is None:
        pytest.skip("qemu-img is not installed (apt-get install qemu-utils)")
    return path
