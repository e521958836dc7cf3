from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.builders import pattern
from tests.corpus import unpack
from tests.native.conftest import need
from vhdtool import _native
from vhdtool.guest.native import NativeFileSystem
from vhdtool.guest.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

MIB = 1 << 20


class Tools:
    """The tools of LVM2 on files, without device-mapper: loop devices stand for disks."""

    def __init__(self, folder: Path, count: int, size: int = 64 * MIB) -> None:
        self.lvm = need("lvm", "lvm2")
        self.images = [folder / f"disk{number}" for number in range(count)]
        self.devices: list[str] = []
        for image in self.images:
            with image.open("wb") as file:
                file.truncate(size)
            done = subprocess.run(
                ["losetup", "--show", "-f", str(image)], capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                self.close()
                pytest.skip(f"loop devices are not possible here: {done.stderr.strip()}")
            self.devices.append(done.stdout.strip())

    def run(self, command: str, *arguments: str) -> str:
        accepted = ", ".join(f'"a|^{device}$|"' for device in self.devices)
        config = (
            f'devices {{ filter=[{accepted}, "r|.*|"] use_devicesfile=0 }} '
            "global { use_lvmlockd=0 event_activation=0 } backup { backup=0 archive=0 } "
            "activation { udev_sync=0 udev_rules=0 monitoring=0 }"
        )
        done = subprocess.run(
            [self.lvm, command, "--driverloaded", "n", "--config", config, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command} {arguments}: {done.stderr}"
        return done.stdout

    def close(self) -> None:
        for device in self.devices:
            subprocess.run(["losetup", "-d", device], check=True)

    def create(self, name: str, *arguments: str, on: Sequence[str] = ()) -> None:
        self.run("lvcreate", "-an", "-Zn", "-Wn", "-y", "-n", name, *arguments, "vg", *on)

    def where(self) -> dict[str, list[tuple[int, int, int]]]:
        """Return of each volume its stretches by what the tools say: disk, start, length.

        Of striped volumes each stripe is one stretch.
        """
        listed = self.run(
            "pvs", "--noheadings", "--units", "b", "--nosuffix", "--segments", "--separator", "|",
            "-o", "pv_name,pe_start,pvseg_start,pvseg_size,lv_name,seg_start,vg_extent_size",
        )  # fmt: skip
        found: dict[str, list[tuple[int, int, int, int]]] = {}
        for line in listed.splitlines():
            device, data, first, count, name, start, extent = line.strip().split("|")
            if name:
                place = int(data) + int(first) * int(extent)
                row = (int(start), self.devices.index(device), place, int(count) * int(extent))
                found.setdefault(name, []).append(row)
        return {name: [row[1:] for row in sorted(rows)] for name, rows in found.items()}


@pytest.fixture
def fill(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Tools]:
    tools = Tools(tmp_path, request.param)
    yield tools
    tools.close()


def disks_of(images: list[Path]) -> list[_native.Disk]:
    files = [_native.File(image) for image in images]
    return [_native.Disk.flat(file, 0, file.size) for file in files]


def paint(tools: Tools) -> None:
    """Fill what the volumes lie on with bytes that tell disk and place."""
    for stretches in tools.where().values():
        for disk, start, length in stretches:
            with tools.images[disk].open("r+b") as file:
                file.seek(start)
                file.write(pattern(length, disk * 40 + start // MIB % 40 + 1))


def stretch(tools: Tools, disk: int, start: int, length: int) -> bytes:
    with tools.images[disk].open("rb") as file:
        file.seek(start)
        return file.read(length)


@pytest.mark.parametrize("fill", [3], indirect=True)
def test_linear_and_striped_volumes_are_read_where_the_tools_put_them(fill: Tools) -> None:
    fill.run("pvcreate", "-y", *fill.devices)
    fill.run("vgcreate", "-s", "1m", "vg", *fill.devices)
    fill.create("root", "-L", "20m", on=fill.devices[:1])
    fill.create("other", "-L", "10m", on=fill.devices[:1])
    fill.run("lvextend", "-L", "+20m", "vg/root", *fill.devices[:2])
    fill.create("striped", "-L", "24m", "-i", "3", "-I", "64k")
    fill.create("two-striped", "-L", "12m", "-i", "2", "-I", "4k", on=fill.devices[1:])
    fill.run("lvextend", "-i", "1", "-L", "+5m", "vg/striped", fill.devices[2])
    fill.create("wide", "-l", "100%FREE")
    paint(fill)
    found = {
        name: (group, disk, note)
        for group, name, disk, note in _native.lvm_volumes(disks_of(fill.images))
    }
    assert set(found) == {"root", "other", "striped", "two-striped", "wide"}
    where = fill.where()
    for name, (group, disk, note) in found.items():
        assert (group, note) == ("vg", "")
        assert disk is not None
        if "striped" not in name:
            expected = b"".join(stretch(fill, *place) for place in where[name])
            assert disk.read_at(0, disk.size) == expected, name
    _, disk, _ = found["striped"]
    assert disk is not None
    stripes = [stretch(fill, *place) for place in where["striped"]]
    chunk = 64 << 10
    turns = [stripe[at : at + chunk] for at in range(0, 8 * MIB, chunk) for stripe in stripes[:3]]
    assert disk.read_at(0, disk.size) == b"".join(turns) + stripes[3]
    _, disk, _ = found["two-striped"]
    assert disk is not None
    stripes = [stretch(fill, *place) for place in where["two-striped"]]
    turns = [stripe[at : at + 4096] for at in range(0, 6 * MIB, 4096) for stripe in stripes]
    assert disk.read_at(0, disk.size) == b"".join(turns)


@pytest.mark.parametrize("fill", [2], indirect=True)
def test_what_is_not_read_is_named(fill: Tools) -> None:
    fill.run("pvcreate", "-y", *fill.devices)
    fill.run("vgcreate", "-s", "1m", "vg", *fill.devices)
    fill.create("split", "-l", "100%FREE")
    rows = _native.lvm_volumes(disks_of(fill.images[:1]))
    assert [(group, name, disk) for group, name, disk, _ in rows] == [("vg", "split", None)]
    assert "is not among the disks" in rows[0][3]
    assert _native.lvm_volumes([]) == []


@pytest.mark.parametrize("fill", [1], indirect=True)
def test_the_newest_metadata_counts_and_wraps_in_its_area(fill: Tools) -> None:
    fill.run("pvcreate", "-y", "--metadatasize", "64k", *fill.devices)
    fill.run("vgcreate", "-s", "1m", "vg", *fill.devices)
    fill.create("root", "-L", "8m")
    for number in range(60):
        fill.run("lvrename", "vg", "root" if number == 0 else f"n{number - 1}", f"n{number}")
        rows = _native.lvm_volumes(disks_of(fill.images))
        assert [(name, note) for _, name, _, note in rows] == [(f"n{number}", "")]


@pytest.mark.parametrize("fill", [1], indirect=True)
def test_damaged_metadata_is_told(fill: Tools) -> None:
    fill.run("pvcreate", "-y", *fill.devices)
    fill.run("vgcreate", "-s", "1m", "vg", *fill.devices)
    fill.create("root", "-L", "8m")
    raw = bytearray(fill.images[0].read_bytes())
    place = raw.index(b"extent_size")
    raw[raw.rindex(b"extent_size")] ^= 1
    raw[place] ^= 1
    fill.images[0].write_bytes(raw)
    [(group, name, disk, note)] = _native.lvm_volumes(disks_of(fill.images))
    assert (group, name, disk) == ("", "", None)
    assert "checksum" in note
    raw[512 + 20] ^= 1
    fill.images[0].write_bytes(raw)
    [(_, _, _, note)] = _native.lvm_volumes(disks_of(fill.images))
    assert "LVM label" in note


def test_the_corpus_is_read(tmp_path: Path) -> None:
    image = unpack("linux/dfvfs/lvm.raw.xz", tmp_path)
    rows = _native.lvm_volumes(disks_of([image]))
    assert [(group, name, note) for group, name, _, note in rows] == [
        ("test_volume_group", "test_logical_volume1", ""),
        ("test_volume_group", "test_logical_volume2", ""),
    ]
    first = rows[0][2]
    assert first is not None
    filesystem = NativeFileSystem(first)
    assert filesystem.volume.kind == "ext2"
    assert Tree(filesystem).names("/") == ["a_directory", "a_link", "lost+found", "passwords.txt"]
