"""Programs of the system that build guests: what is missing skips a test and says so."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.native.conftest import need

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures"
PLACES = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"


def run(command: str, *arguments: str | Path, package: str = "") -> bytes:
    """Run a program, or skip the test where it is not installed; return what it printed."""
    path = need(command, package or command)
    done = subprocess.run(
        [path, *map(str, arguments)],
        capture_output=True,
        check=False,
        env={**os.environ, "PATH": PLACES, "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, (
        f"{command}: {(done.stderr + done.stdout).decode(errors='replace')[-4000:]}"
    )
    return done.stdout


def fixture(name: str, *arguments: str | Path) -> None:
    """Run a script of fixtures/."""
    command = ["/bin/sh", FIXTURES / name, *map(str, arguments)]
    environment = {**os.environ, "PATH": PLACES}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, f"{name}: {(done.stderr + done.stdout)[-4000:]}"


def cached(name: str, recipe: tuple[Path, ...], build: Callable[[Path], None]) -> Path:
    """Return a file or folder that `build` makes, made once for each text of its recipe.

    It is kept in VHDTOOL_GUESTS or .make/guests, where processes wait for each other.
    """
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in recipe)).hexdigest()[:16]
    folder = Path(os.environ.get("VHDTOOL_GUESTS", ROOT / ".make" / "guests"))
    folder.mkdir(parents=True, exist_ok=True)
    made = folder / f"{digest}-{name}"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            _forget(folder, name)
            unfinished = folder / f"unfinished-{name}"
            build(unfinished)
            unfinished.rename(made)
    return made


def _forget(folder: Path, name: str) -> None:
    """Remove what older recipes made, and what was not finished."""
    for old in (*folder.glob(f"{'[0-9a-f]' * 16}-{name}"), folder / f"unfinished-{name}"):
        if old.is_dir():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)


@contextmanager
def looped(image: Path, offset: int, length: int) -> Iterator[str]:
    """Attach a range of a file as a block device."""
    place = ("--offset", str(offset), "--sizelimit", str(length))
    command = [need("losetup", "mount"), "--find", "--show", *place, str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no loop device: {done.stderr.strip()}")
    device = done.stdout.strip()
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@contextmanager
def mounted(device: str, folder: Path, kind: str, options: str = "defaults") -> Iterator[Path]:
    """Mount a device; a kernel without the file system skips the test."""
    folder.mkdir(exist_ok=True)
    command = [need("mount", "mount"), "-t", kind, "-o", options, device, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this kernel mounts no {kind}: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        run("umount", folder, package="mount")
