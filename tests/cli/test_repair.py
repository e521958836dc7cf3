"""`vhdtool repair`: shown before and after, in place, to a copy, resumed, undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import MIB, SECTOR, append, patch, pattern, write_fixed_vhd
from vhdtool.disk import repair
from vhdtool.disk.journal import journal_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Outcome

    Command = Callable[..., Outcome]

SIZE = 4 * MIB


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_fixed_vhd(tmp_path / "good.vhd", SIZE, {MIB: pattern(SECTOR)})


@pytest.fixture
def damaged(tmp_path: Path, good: Path) -> Path:
    path = tmp_path / "damaged.vhd"
    path.write_bytes(good.read_bytes())
    patch(path, -SECTOR + 64, b"\0\0\0\0")
    return path


def test_a_dry_run_shows_the_change_and_makes_none(vhdtool: Command, damaged: Path) -> None:
    before = damaged.read_bytes()
    done = vhdtool("repair", "--dry-run", damaged)
    assert done.status == 0
    lines = done.out.splitlines()
    assert lines[0] == "0x400000  checksum of the footer (512 bytes)"
    assert lines[1].startswith("    before  0x400040: 00 00 00 00 ")
    assert lines[2].startswith("    after   0x400040: ff ff ")
    assert damaged.read_bytes() == before


def test_an_image_is_mended_in_place(vhdtool: Command, damaged: Path, good: Path) -> None:
    done = vhdtool("repair", damaged)
    assert (done.status, done.err) == (0, f"vhdtool: mended {damaged}\n")
    assert damaged.read_bytes() == good.read_bytes()
    assert not journal_path(damaged).exists()
    assert vhdtool("repair", damaged).out == "nothing to mend\n"


def test_a_copy_is_mended_and_the_image_stays(
    vhdtool: Command, damaged: Path, good: Path, tmp_path: Path
) -> None:
    before = damaged.read_bytes()
    copy = tmp_path / "copy.vhd"
    assert vhdtool("repair", "-o", copy, damaged).status == 0
    assert copy.read_bytes() == good.read_bytes()
    assert damaged.read_bytes() == before
    assert vhdtool("repair", "-o", copy, damaged).status == 4
    assert vhdtool("repair", "-o", copy, "--force", damaged).status == 0


def test_a_shorter_copy_is_mended_too(vhdtool: Command, good: Path, tmp_path: Path) -> None:
    longer, copy = tmp_path / "longer.vhd", tmp_path / "copy.vhd"
    longer.write_bytes(good.read_bytes())
    append(longer, b"x" * 777)
    assert vhdtool("repair", "-o", copy, longer).status == 0
    assert copy.read_bytes() == good.read_bytes()


def test_the_image_is_no_copy_of_itself(vhdtool: Command, damaged: Path) -> None:
    before = damaged.read_bytes()
    for words in ([], ["--force"]):
        assert vhdtool("repair", "-o", damaged, *words, damaged).status == 2
    assert damaged.read_bytes() == before


def test_a_format_that_is_not_read_gets_no_false_advice(vhdtool: Command, tmp_path: Path) -> None:
    image = tmp_path / "disk.vdi"
    image.write_bytes(bytes(64) + b"\x7f\x10\xda\xbe" + bytes(444))
    done = vhdtool("repair", image)
    assert done.status == 3
    assert "qemu-img convert -f vdi" in done.err


@pytest.mark.parametrize("words", [("--dry-run",), ("-o", "copy.vhd")])
def test_undo_stands_alone(vhdtool: Command, damaged: Path, words: tuple[str, ...]) -> None:
    done = vhdtool("repair", "--undo", *words, damaged)
    assert done.status == 2
    assert "exclude each other" in done.err


def test_unknown_damage_is_status_3_and_named(vhdtool: Command, good: Path) -> None:
    patch(good, -SECTOR + 12, b"\xff\xff\xff\xff\xff")
    before = good.read_bytes()
    done = vhdtool("repair", good)
    assert done.status == 3
    assert "version is 0xffffffff" in done.err
    assert "nothing was changed" in done.err
    assert good.read_bytes() == before


@pytest.fixture
def interrupted(damaged: Path) -> Path:
    """Leave the image as a kill in the middle of a repair does."""
    planned = repair.plan(damaged)
    journal_path(damaged).write_bytes(planned.journal.encode())
    return damaged


def test_an_interrupted_repair_is_completed(
    vhdtool: Command, interrupted: Path, good: Path
) -> None:
    done = vhdtool("repair", interrupted)
    assert done.status == 0
    assert "completed the repair that was interrupted" in done.out
    assert interrupted.read_bytes() == good.read_bytes()


def test_an_interrupted_repair_is_undone(vhdtool: Command, interrupted: Path) -> None:
    before = interrupted.read_bytes()
    assert vhdtool("repair", "--undo", interrupted).status == 0
    assert interrupted.read_bytes() == before
    assert not journal_path(interrupted).exists()
    assert vhdtool("repair", "--undo", interrupted).status == 2


@pytest.mark.parametrize("options", [["--dry-run"], ["-o", "copy.vhd"]])
def test_an_interrupted_repair_must_be_ended_first(
    vhdtool: Command, interrupted: Path, options: list[str]
) -> None:
    done = vhdtool("repair", *options, interrupted)
    assert done.status == 3
    assert "was interrupted" in done.err


def test_convert_refuses_an_image_between_two_states(
    vhdtool: Command, interrupted: Path, tmp_path: Path
) -> None:
    done = vhdtool("convert", interrupted, tmp_path / "out.vhd")
    assert done.status == 3
    assert "--undo" in done.err


def test_what_stays_wrong_is_status_1(vhdtool: Command, tmp_path: Path) -> None:
    image = write_fixed_vhd(tmp_path / "disk.vhd", SIZE, {SECTOR: b"EFI PART".ljust(SECTOR, b"\0")})
    done = vhdtool("repair", image)
    assert done.status == 1
    assert "not mended: neither copy of the GUID partition table is sound" in done.err
