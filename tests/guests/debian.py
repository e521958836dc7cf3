"""Reference guests: a real Debian 12 in the states that a machine in Azure goes through.

    tree("captured")                    the folder that disks are made from
    disk("captured", "mbr-ext4").path   a dynamic VHD of 4 GiB with it

Built once, by the scripts fixtures/debian-*, and kept. Needs root, a mirror of Debian and loop
devices.
"""

from __future__ import annotations

import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.guests import layouts
from tests.guests.tools import FIXTURES, cached, fixture, need, run

MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
LAYOUTS = tuple(layouts.LAYOUTS)
# A machine that has run; the same after `waagent -deprovision+user -force`; and after
# `cloud-init clean --logs --machine-id` too.
STATES = ("captured", "deprovisioned", "cleaned")

_NEW = (FIXTURES / "debian-tree",)
_RAN = (*_NEW, FIXTURES / "debian-machine")
_DONE = (*_RAN, FIXTURES / "debian-deprovision")
_DISKS = (*_DONE, FIXTURES / "debian-boot", Path(layouts.__file__))


@dataclass(frozen=True)
class Reference:
    """A disk with a guest on it, and what it was made from.

    Attributes:
        path: The disk, a dynamic VHD.
        tree: The folder with all of its files but those in `own`.
        own: What files hold that differ from disk to disk, by their paths without the first slash.
    """

    path: Path
    tree: Path
    own: dict[str, bytes]


def tree(state: str) -> Path:
    """Return the folder of a guest in one of the states."""
    if os.geteuid() != 0:
        pytest.skip("building a guest needs root")
    need("debootstrap", "debootstrap")
    new = cached("tree-new", _NEW, _debootstrap)
    captured = cached("tree-captured", _RAN, lambda target: _changed(new, target, "machine"))
    if state == "captured":
        return captured
    options = ("--clean",) if state == "cleaned" else ()
    return cached(
        f"tree-{state}",
        _DONE,
        lambda target: _changed(captured, target, "deprovision", *options),
    )


def disk(state: str, layout: str) -> Reference:
    """Return a disk with the guest in a state, laid out in one of the ways."""
    source = tree(state)

    def build(target: Path) -> None:
        target.mkdir()
        raw = target / "raw"
        for name, data in layouts.write(layout, source, raw).items():
            (target / Path(name).name).write_bytes(data)
        vhd = ("-O", "vpc", "-o", "subformat=dynamic,force_size=on")
        run("qemu-img", "convert", *vhd, raw, target / "disk.vhd", package="qemu-utils")
        raw.unlink()

    made = cached(f"{layout}-{state}", _DISKS, build)
    own = {name: (made / Path(name).name).read_bytes() for name in layouts.OWN_FILES}
    return Reference(made / "disk.vhd", source, own)


def _debootstrap(target: Path) -> None:
    try:
        urllib.request.urlopen(f"{MIRROR}/dists/bookworm/Release", timeout=30).close()
    except OSError as error:
        pytest.skip(f"no mirror of Debian at {MIRROR} (set DEBIAN_MIRROR): {error}")
    fixture("debian-tree", target, MIRROR)


def _changed(source: Path, target: Path, script: str, *options: str) -> None:
    """Copy a tree and run one of the scripts on it."""
    run("cp", "-a", "--reflink=auto", source, target, package="coreutils")
    fixture(f"debian-{script}", target, *options)
