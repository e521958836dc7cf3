"""Every disk of the corpus's oracle: size and hash, or the refusal."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.corpus import CORPUS, unpack
from vhdtool.disk.disk import ExtentKind
from vhdtool.disk.image import Image, open_image
from vhdtool.errors import CorruptImage, FormatError

if TYPE_CHECKING:
    from pathlib import Path

_PIECE = 1 << 20


class Entry(NamedTuple):
    file: str
    parent: str
    size: str
    sha256: str
    source: str


def entries() -> list[Entry]:
    table = CORPUS / "oracle.tsv"
    if not table.is_file():
        return []
    lines = table.read_text().splitlines()
    return [Entry(*line.split("\t")) for line in lines if not line.startswith("#")]


def sha256_of(image: Image) -> str:
    """Hash the whole disk; holes are hashed without being read."""
    digest = hashlib.sha256()
    zeros = bytes(_PIECE)
    position = 0
    for extent in image.extents():
        assert extent.offset == position
        position += extent.length
        for offset in range(extent.offset, position, _PIECE):
            length = min(_PIECE, position - offset)
            stored = extent.kind is ExtentKind.DATA
            digest.update(image.read_at(offset, length) if stored else zeros[:length])
    assert position == image.size
    return digest.hexdigest()


def test_the_corpus_is_there_or_its_absence_is_told() -> None:
    if not entries():
        pytest.skip(f"the corpus of real disks is not at {CORPUS}")
    assert len(entries()) >= 15


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.file.rsplit("/", 1)[-1])
def test_disk_of_the_oracle_reads_as_stated(entry: Entry, tmp_path: Path) -> None:
    path = unpack(entry.file, tmp_path)
    if entry.parent != "-":
        folder = entry.file.rsplit("/", 1)[0]
        packed = CORPUS / folder / f"{entry.parent}.xz"
        unpack(f"{folder}/{entry.parent}" + (".xz" if packed.exists() else ""), tmp_path)
    if entry.sha256 == "REFUSE":
        with pytest.raises(CorruptImage, match="checksum"):
            open_image(path)
        return
    with open_image(path) as image:
        assert image.size == int(entry.size)
        if entry.sha256 != "-":
            assert sha256_of(image) == entry.sha256


@pytest.mark.parametrize("name", ["afl5.img.bz2", "afl9.vmdk.bz2"])
def test_fuzz_cases_of_other_tools_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        open_image(unpack(f"disks/qemu/{name}", tmp_path))
