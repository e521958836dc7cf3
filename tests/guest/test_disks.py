"""Guests on real disks: logical volumes, btrfs, partitions that lie."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.builders import GIB, LINUX_GUID, MIB, mbr_sector
from tests.guest.volumes import DEBIAN, ROOT_ID, ext4
from tests.native.conftest import need
from tests.native.test_lvm import Tools
from tests.rules.disks import Part, fixed, gpt, mbr
from vhdtool.disk.image import open_image
from vhdtool.disk.partitions import read_partitions
from vhdtool.guest.guest import Guest, find_guest
from vhdtool.guest.systems import SystemKind
from vhdtool.guest.volumes import MAX_VOLUMES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vhdtool.disk.image import Image


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Tools]:
    made = Tools(tmp_path, 1)
    yield made
    made.close()


def look(image: Image) -> Guest:
    return find_guest(image, read_partitions(image))


def test_linux_on_logical_volumes_is_read_and_mounted(tools: Tools, tmp_path: Path) -> None:
    tools.run("pvcreate", "-y", *tools.devices)
    tools.run("vgcreate", "-s", "1m", "vg", *tools.devices)
    tools.create("sys", "-L", "16m")
    tools.create("var", "-L", "16m")
    fstab = f"UUID={ROOT_ID} / ext4 d 0 1\n/dev/mapper/vg-var /var ext4 d 0 2\n"
    contents = {
        "sys": ext4(tmp_path, {"/usr/lib/os-release": DEBIAN, "/etc/fstab": fstab, "/var": None}),
        "var": ext4(
            tmp_path, {"/lib/x": "in var"}, uuid_text="11112222-3333-4444-5555-666677778888"
        ),
    }
    for name, stretches in tools.where().items():
        ((_, start, _),) = stretches
        with tools.images[0].open("r+b") as file:
            file.seek(start)
            file.write(contents[name])
    member = tools.images[0].read_bytes()
    disk = fixed(tmp_path, mbr([Part(0x8E, 1, 64, member)]), size=66 * MIB)
    with open_image(disk) as image:
        found = look(image)
        assert found.summary == "Debian GNU/Linux 12 (bookworm) on vg/sys"
        assert found.gaps == ()
        assert [(mount.folder, mount.volume.name) for mount in found.mounts] == [
            ("/", "vg/sys"),
            ("/var", "vg/var"),
        ]
        assert found.tree is not None
        assert found.tree.text("/var/lib/x") == "in var"
        assert found.volumes[0].reason == "it is LVM2 physical volume, which holds no files"


def test_linux_on_btrfs_is_read(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for path, text in (("@/usr/lib/os-release", DEBIAN), ("@/etc/fstab", ""), ("@home/me", "mine")):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(text)
    volume = tmp_path / "volume"
    with volume.open("wb") as file:
        file.truncate(128 * MIB)
    command = [need("mkfs.btrfs", "btrfs-progs"), "-q", "--rootdir", str(tree), str(volume)]
    subprocess.run(command, check=True, capture_output=True)
    parts = [Part(LINUX_GUID, 1, 128, volume.read_bytes())]
    disk = fixed(tmp_path, gpt(parts, size=130 * MIB), size=130 * MIB)
    with open_image(disk) as image:
        found = look(image)
        assert found.summary == "Debian GNU/Linux 12 (bookworm) on partition 1, subvolume @"
        assert found.gaps == ()
        assert found.tree is not None
        assert found.tree.names("/") == ["etc", "usr"]


def test_partition_that_leaves_the_disk_is_clipped_or_told(tmp_path: Path) -> None:
    content = ext4(tmp_path, {"/usr/lib/os-release": DEBIAN, "/etc/fstab": ""})
    sectors = [(0x83, 2048, 0xFFFFFFF0), (0x83, 0xFFFFFF00, 100), (0x83, 0, 0xFFFFFFFF)]
    disk = fixed(tmp_path, {0: mbr_sector(sectors), MIB: content})
    with open_image(disk) as image:
        found = look(image)
        assert found.kind is SystemKind.LINUX
        assert found.volumes[0].size == image.size - MIB
        assert found.volumes[0].problem is not None
        assert "past the end of the disk" in found.volumes[0].problem
        assert found.gaps == ("partition 2 cannot be read: it lies outside the disk",)


def test_many_partitions_are_looked_at_up_to_a_bound(tmp_path: Path) -> None:
    content = ext4(tmp_path, {"/x": "y"})
    entries = [(0x83, 2048, 16384)] * 3
    logicals = [(0x83, 40960 + 128 * number, 64) for number in range(200)]
    from tests.builders import mbr_pieces

    pieces = mbr_pieces(entries, logicals)
    with open_image(fixed(tmp_path, pieces | {MIB: content})) as image:
        found = look(image)
    assert len(found.volumes) == MAX_VOLUMES
    assert any(f"only the first {MAX_VOLUMES} were looked at" in gap for gap in found.gaps)


def test_large_disk_costs_no_more(tmp_path: Path) -> None:
    content = ext4(tmp_path, {"/usr/lib/os-release": DEBIAN, "/etc/fstab": ""})
    size = 2048 * GIB
    disk = tmp_path / "disk.raw"
    with disk.open("wb") as file:
        file.write(mbr_sector([(0x83, 2048, 0xFFFFFFFF - 2048)]))
        file.seek(MIB)
        file.write(content)
        file.truncate(size)
    with open_image(disk) as image:
        assert look(image).kind is SystemKind.LINUX
