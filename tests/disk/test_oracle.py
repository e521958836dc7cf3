"""Every disk of the corpus's oracle, by `convert --to raw`: size and hash, or the refusal."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.corpus import CORPUS, unpack
from vhdtool import _native
from vhdtool.cli.app import run
from vhdtool.disk.image import open_image
from vhdtool.errors import FormatError

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


def sha256_of(path: Path) -> str:
    """Hash a whole file; holes are hashed without being read."""
    digest = hashlib.sha256()
    zeros = bytes(_PIECE)

    def hash_zeros(length: int) -> None:
        for _ in range(length // _PIECE):
            digest.update(zeros)
        digest.update(zeros[: length % _PIECE])

    file = _native.File(path)
    position = 0
    while (data := file.next_data(position)) is not None:
        start, end = data
        hash_zeros(start - position)
        for offset in range(start, end, _PIECE):
            digest.update(file.read_at(offset, min(_PIECE, end - offset)))
        position = end
    hash_zeros(file.size - position)
    return digest.hexdigest()


def test_the_corpus_is_there_or_its_absence_is_told() -> None:
    if not entries():
        pytest.skip(f"the corpus of real disks is not at {CORPUS}")
    assert len(entries()) >= 15


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.file.rsplit("/", 1)[-1])
def test_disk_of_the_oracle_reads_as_stated(
    entry: Entry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = unpack(entry.file, tmp_path)
    raw = tmp_path / "out.raw"
    if entry.parent != "-":
        folder = entry.file.rsplit("/", 1)[0]
        packed = CORPUS / folder / f"{entry.parent}.xz"
        unpack(f"{folder}/{entry.parent}" + (".xz" if packed.exists() else ""), tmp_path)
    convert = ["convert", "--to", "raw", str(path), str(raw)]
    if entry.sha256 == "REFUSE":
        assert run(convert) == 3
        assert "checksum is" in capsys.readouterr().err
        assert not raw.exists()
        return
    assert run(convert) == 0
    assert raw.stat().st_size == int(entry.size)
    if entry.sha256 != "-":
        assert sha256_of(raw) == entry.sha256
    assert run(["compare", str(path), str(raw)]) == 0


@pytest.mark.parametrize("name", ["afl5.img.bz2", "afl9.vmdk.bz2"])
def test_fuzz_cases_of_other_tools_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        open_image(unpack(f"disks/qemu/{name}", tmp_path))
