"""The sound images that mutants are made of: the corpus of real disks, and what qemu-img writes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests import builders

if TYPE_CHECKING:
    from collections.abc import Iterator

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
LARGEST = 8 << 20
_OPENERS = {".xz": lzma.open, ".gz": gzip.open, ".bz2": bz2.open}


def corpus_images() -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the corpus's disks that are small enough to mutate."""
    for path in sorted((CORPUS / "disks").glob("*/*")):
        opener = _OPENERS.get(path.suffix)
        name = path.stem if opener else path.name
        if Path(name).suffix not in {".vhd", ".vhdx", ".vmdk", ".img"}:
            continue
        with (opener or open)(path, "rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) <= LARGEST:
            yield name, data


def made_images(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield images of one small partitioned disk in every format that qemu-img and we write."""
    raw = folder / "seed.raw"
    rng = random.Random(1)
    with raw.open("wb") as file:
        file.truncate(6 << 20)
        for offset in (0, 1 << 20, 3 << 20):
            file.seek(offset)
            file.write(rng.randbytes(3000))
    subprocess.run(
        ["/usr/sbin/sfdisk", "-q", raw],
        input="label: gpt\nstart=2048, size=2048\nstart=4096, size=4096\n",
        text=True,
        check=True,
    )
    yield "gpt.raw", raw.read_bytes()
    for name, driver, options in (
        ("dynamic.vhd", "vpc", "subformat=dynamic,force_size=on"),
        ("fixed.vhd", "vpc", "subformat=fixed,force_size=on"),
        ("dynamic.vhdx", "vhdx", "block_size=1M"),
        ("plain.qcow2", "qcow2", "cluster_size=64k"),
        ("sparse.vmdk", "vmdk", "subformat=monolithicSparse"),
        ("stream.vmdk", "vmdk", "subformat=streamOptimized"),
    ):
        path = folder / name
        subprocess.run(
            ["qemu-img", "convert", "-f", "raw", "-O", driver, "-o", options, raw, path], check=True
        )
        data = path.read_bytes()
        if len(data) <= 2 * LARGEST:
            yield name, data
    yield from builders.soak_images(folder)
