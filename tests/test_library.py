"""The library as its users see it."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

import vhdtool
from tests.builders import MIB, pattern, write_vhd

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 4 * MIB


def stored(disk: vhdtool.Disk) -> int:
    """Count the stored bytes of anything that is a disk."""
    data = (extent for extent in disk.extents() if extent.kind is vhdtool.ExtentKind.DATA)
    return sum(extent.length for extent in data)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return write_vhd(tmp_path / "disk.vhd", SIZE, {0: pattern(1024)}).path


def test_every_public_name_is_there_and_documented() -> None:
    assert set(vhdtool.__all__) <= set(dir(vhdtool))
    for name in vhdtool.__all__:
        assert getattr(vhdtool, name).__doc__, name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vhdtool.nothing


def test_types_come_with_the_package() -> None:
    assert (files("vhdtool") / "py.typed").is_file()


def test_an_opened_image_is_a_disk(image: Path) -> None:
    with vhdtool.open_image(image) as disk:
        assert (disk.size, disk.sector_size) == (SIZE, 512)
        assert disk.read_at(512, 512) == pattern(1024)[512:]
        assert stored(disk) == 2 * MIB
    assert "Raises:" in (vhdtool.open_image.__doc__ or "")


def test_a_check_gives_a_report(image: Path) -> None:
    report = vhdtool.check(image)
    assert isinstance(report, vhdtool.Report)
    assert "VHD003" in {finding.rule.code for finding in report.findings}
    assert all(isinstance(finding.severity, vhdtool.Severity) for finding in report.findings)
    assert (
        vhdtool.check(str(image), select=["DSK"]).findings
        == vhdtool.check(image, select=["DSK"], profiles=[vhdtool.Profile.DATA_DISK]).findings
    )
