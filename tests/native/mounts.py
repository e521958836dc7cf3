"""Images of file systems: made by a tool, mounted by the kernel where that is allowed."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from vhdtool import _native
from vhdtool.errors import GuestError
from vhdtool.guest.filesystem import NodeKind
from vhdtool.guest.native import NativeFileSystem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def make(image: Path, size: int, *command: str) -> Path:
    """Run a mkfs on an image of `size` bytes."""
    with image.open("wb") as file:
        file.truncate(size)
    run(*command, str(image))
    return image


def run(*command: str) -> str:
    """Run a tool that must succeed and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def opened(image: Path) -> NativeFileSystem:
    """Read the file system of a bare image."""
    file = _native.File(image)
    return NativeFileSystem(_native.Disk.flat(file, 0, file.size))


def copied(image: Path, target: Path) -> Path:
    """Copy an image as it is now, holes as holes."""
    run("cp", "--sparse=always", str(image), str(target))
    return target


@contextmanager
def mounted(image: Path, folder: Path, options: str = "ro") -> Iterator[Path]:
    """Mount an image by the kernel, or skip the test where that is not allowed."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-o", f"loop,{options}", str(image), str(folder)]
    for _ in range(10):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        # Another process may take the same loop device at the same time.
        if done.returncode == 0 or "busy" not in done.stderr:
            break
        time.sleep(0.2)
    if done.returncode != 0:
        pytest.skip(f"loop mounts are not possible here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def flip(image: Path, offset: int, bits: int = 1) -> None:
    """Change bits of one byte."""
    with image.open("r+b") as file:
        file.seek(offset)
        old = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([old ^ bits]))


@contextmanager
def damage(image: Path, places: list[int], bits: list[int]) -> Iterator[None]:
    """Change bits of an image for a while."""
    for place, bit in zip(places, bits, strict=True):
        flip(image, place, bit)
    yield
    for place, bit in zip(places, bits, strict=True):
        flip(image, place, bit)


def look_around(image: Path) -> None:
    """Read a part of what a file system holds; damage is no more than an error."""
    try:
        filesystem = opened(image)
    except GuestError:
        return
    pending, steps = [filesystem.root], 0
    while pending and steps < 300:
        steps += 1
        pending += _look_at(filesystem, pending.pop())


def _look_at(filesystem: NativeFileSystem, node: int) -> list[int]:
    try:
        kind = filesystem.stat(node).kind
        if kind is NodeKind.DIRECTORY:
            return [entry.node for entry in filesystem.entries(node)][::10]
        if kind is NodeKind.FILE:
            filesystem.read_at(node, 0, 100_000)
        elif kind is NodeKind.SYMLINK:
            filesystem.read_link(node)
    except GuestError:
        pass
    return []
