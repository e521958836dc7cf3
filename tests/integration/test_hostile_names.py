"""Whatever an image or a file is called, nothing that acts on a terminal reaches it."""

from __future__ import annotations

import os
import subprocess
import unicodedata
import uuid
from typing import TYPE_CHECKING

import pytest

from tests.builders import (
    DISK_ID,
    LINUX_GUID,
    MIB,
    SECTOR,
    VhdParent,
    footer,
    gpt_pieces,
    patch,
    relative_locator,
    write_fixed_vhd,
    write_vhd,
    write_vhdx,
)
from tests.soak.forkserver import ForkServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# An escape sequence, a bell, a new line, a C1 control, a right-to-left override, an unpaired
# surrogate, an invisible space: in UTF-16, as images have them.
EVIL = "a\x1b[31m\x07\nb\x9b2J\u202ec\ud800\u200b"
# The same in a file's name, with bytes that are no UTF-8.
NAME = b"d\x1b[31m\x07\n\xe2\x80\xae\xff\x9b.vhd"
SIZE = 8 * MIB
FORMATS = ("text", "json", "sarif", "junit", "github")


def utf16(text: str, order: str) -> bytes:
    return text.encode(f"utf-16-{order}", "surrogatepass")


def lost_child(path: Path) -> None:
    locators = {
        b"W2ru": utf16(f".\\{EVIL}.vhd", "le"),
        b"W2ku": utf16(f"C:\\{EVIL}\\x.vhd", "le"),
        b"MacX": f"file:///{EVIL}.vhd".encode("utf-8", "surrogatepass"),
    }
    parent = VhdParent(name=utf16(EVIL, "be"), locators=locators)
    write_vhd(path, SIZE, {}, parent=parent)


def child_of_a_stranger(path: Path) -> None:
    name = "a\x1b[31m\u202e.vhd"
    write_vhd(path.parent / name, SIZE, {})
    parent = VhdParent(uuid.UUID(int=3), locators=relative_locator(name))
    write_vhd(path, SIZE, {}, parent=parent)


def child_of_a_damaged_parent(path: Path) -> None:
    name = "a\x1b[31m\u202e.vhd"
    patch(write_vhd(path.parent / name, SIZE, {}).path, 512 + 36, bytes(4))
    write_vhd(path, SIZE, {}, parent=VhdParent(locators=relative_locator(name)))


def lost_vhdx_child(path: Path) -> None:
    keys = {"relative_path": f".\\{EVIL}", EVIL: EVIL, "parent_linkage": f"{{{DISK_ID}}}"}
    write_vhdx(path, SIZE, {}, parent=keys)
    patch(path, 8, utf16(EVIL, "le"))


def partitions(path: Path) -> None:
    table = [(LINUX_GUID, 2048, 4095, EVIL), (LINUX_GUID, 2048, 99999, EVIL)]
    write_fixed_vhd(path, SIZE, gpt_pieces(SIZE, table))


def creator(path: Path) -> None:
    tail = footer(SIZE, creator=b"\x1b[2J", host=b"\x9b\x07\n\r", cookie=b"conectix")
    write_fixed_vhd(path, SIZE, {}, tail)


def cookie(path: Path) -> None:
    layout = write_vhd(path, SIZE, {})
    patch(layout.path, SECTOR, b"\x1b[2J\x9b\x07\n\r")


def overlay(path: Path) -> None:
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-b", "aaaaaaaa"]
    subprocess.run([*command, path, "8M"], check=True)
    patch(path, path.read_bytes().index(b"aaaaaaaa"), b"\x1b[2J\x9b\x07\n\r")


def vmdk(path: Path) -> None:
    path.write_bytes(
        b"# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
        b'createType="monolithicFlat"\n\nRW 2048 FLAT "a\x1b[2J\x07" 0\n'
    )


IMAGES: list[Callable[[Path], None]] = [
    lost_child,
    child_of_a_stranger,
    child_of_a_damaged_parent,
    lost_vhdx_child,
    partitions,
    creator,
    cookie,
    overlay,
    vmdk,
]


def acts(output: str) -> set[str]:
    """Return the characters that could act on a terminal or hide."""
    return {
        character
        for character in output
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and character != "\n"
    }


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer() as started:
        yield started


@pytest.mark.parametrize("make", IMAGES, ids=lambda make: make.__name__)
def test_nothing_acts_on_the_terminal(
    server: ForkServer, tmp_path: Path, qemu_img: str, make: Callable[[Path], None]
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    path = folder / os.fsdecode(NAME)
    make(path)
    out = tmp_path / "out\x1b[31m.vhd"
    for words in (
        *(["check", "--fail-on", "never", "--format", kind, path] for kind in FORMATS),
        *(["info", "--format", kind, path] for kind in ("text", "json")),
        *(["map", "--format", kind, path] for kind in ("text", "json")),
        ["compare", path, path],
        ["compare", "--with", "pyvhdi", path],
        ["convert", path, out],
        ["convert", "--in-place", path],
        ["repair", "--dry-run", path],
        ["repair", "-o", out, path],
    ):
        outcome = server.run(*words)
        assert outcome.status in range(5), (words, outcome.output)
        assert acts(outcome.output) == set(), words
