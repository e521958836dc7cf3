"""The corpus of real disks, read where it lies; tests that need it say so where it is absent."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

CORPUS = Path(__file__).parents[2] / "shared" / "corpus"
_OPENERS = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}


def corpus_path(name: str) -> Path:
    """Return a file of the corpus as it lies there, or skip the test."""
    path = CORPUS / name
    if not path.is_file():
        pytest.skip(f"the corpus of real disks is not at {CORPUS}")
    return path


def unpack(name: str, folder: Path) -> Path:
    """Write an uncompressed, sparse copy of a corpus file into `folder`, or skip the test."""
    source = corpus_path(name)
    if source.suffix == ".zst":
        zstd = shutil.which("zstd")
        if zstd is None:
            pytest.skip("zstd is not installed (apt-get install zstd)")
        target = folder / source.stem
        subprocess.run([zstd, "-q", "-d", "--sparse", str(source), "-o", str(target)], check=True)
        return target
    opener = _OPENERS.get(source.suffix)
    target = folder / (source.stem if opener else source.name)
    if opener is None:
        shutil.copyfile(source, target)
        return target
    with opener(source, "rb") as packed, target.open("wb") as file:
        while piece := packed.read(1 << 20):
            if piece.count(0) == len(piece):
                file.seek(len(piece), 1)
            else:
                file.write(piece)
        file.truncate()
    return target
