"""Who made the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rules.disks import SIZE, fixed, hit, hits
from vhdtool.rules.model import FileLocation, Severity

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = (
    b"win ",
    b"vpc ",
    b"vs  ",
    b"qemu",
    b"qem2",
    b"vbox",
    b"d2v ",
    b"d2v\0",
    b"tap\0",
    b"CTXS",
    b"wa\0\0",
    b"dutl",
    b"xo  ",
    b"jmva",
    b"vht ",
    b"\0\0\0\0",
)


def test_vhd025_hits_an_unknown_creator(tmp_path: Path) -> None:
    found = hit(fixed(tmp_path, creator=b"me\x1b\xff"), "VHD025")
    assert found.hit.message == "creator application is 'me\\x1bÿ', expected a known one"
    assert found.hit.location == FileLocation(SIZE + 28, 4)
    assert found.severity is Severity.INFO


@pytest.mark.parametrize("creator", KNOWN)
def test_vhd025_passes_known_creators(tmp_path: Path, creator: bytes) -> None:
    assert hits(fixed(tmp_path, creator=creator), "VHD025") == []


@pytest.mark.parametrize(("host", "text"), [(b"Lnux", "Lnux"), (bytes(4), "\\x00" * 4)])
def test_vhd026_hits_an_unknown_host(tmp_path: Path, host: bytes, text: str) -> None:
    found = hit(fixed(tmp_path, host=host), "VHD026")
    assert found.hit.message == f"creator host OS is '{text}', expected 'Wi2k' or 'Mac '"
    assert found.hit.location == FileLocation(SIZE + 36, 4)


@pytest.mark.parametrize(
    ("creator", "host"),
    [(b"win ", b"Wi2k"), (b"vpc ", b"Mac "), (b"tap\0", bytes(4)), (bytes(4), bytes(4))],
)
def test_vhd026_passes_known_hosts_and_writers_of_zeros(
    tmp_path: Path, creator: bytes, host: bytes
) -> None:
    assert hits(fixed(tmp_path, creator=creator, host=host), "VHD026") == []
