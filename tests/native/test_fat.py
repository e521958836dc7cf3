from __future__ import annotations

import os
import random
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.native.conftest import need
from tests.native.trees import KIB, MIB, differences
from vhdtool import _native
from vhdtool.errors import GuestError
from vhdtool.guest.filesystem import NodeKind
from vhdtool.guest.native import NativeFileSystem
from vhdtool.guest.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

VARIANTS = {
    "FAT12": (4 * MIB, ["-F", "12", "-r", "512"]),
    "FAT12 large clusters": (40 * MIB, ["-F", "12", "-s", "64"]),
    "FAT16": (64 * MIB, ["-F", "16"]),
    "FAT16 one table": (64 * MIB, ["-F", "16", "-f", "1", "-s", "8"]),
    "FAT32": (300 * MIB, ["-F", "32"]),
    "FAT32 512": (80 * MIB, ["-F", "32", "-s", "1"]),
    "FAT32 4096": (600 * MIB, ["-F", "32", "-S", "4096"]),
}
# As mtools runs: in UTC and with names in UTF-8.
_ENVIRONMENT = {**os.environ, "TZ": "UTC", "LC_ALL": "C.UTF-8", "MTOOLS_SKIP_CHECK": "1"}


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tree of more than 1,500 entries that FAT can hold, in less than 3 MiB."""
    random.seed(11)
    root = tmp_path_factory.mktemp("fat") / "files"
    many = root / "EFI" / "many"
    many.mkdir(parents=True)
    for number in range(1200):
        (many / f"a long name {number:04}.conf").write_bytes(b"x" * (number % 3))
    (root / "short").mkdir()
    for number in range(280):
        (root / "short" / f"F{number}.TXT").write_bytes(random.randbytes(number % 700))
    names = ["grubx64.efi", "UPPER.TXT", "lower.txt", "Mixed.Case", "no extension", ".hidden"]
    names += [
        "\u00fcber.txt",
        "\u65e5\u672c\u8a9e.txt",
        "x" * 200,
        "two.dots.txt",
        "+,;=[]",
    ]
    for name in names:
        (root / "EFI" / name).write_bytes(name.encode() * 9)
    deep = root
    for number in range(12):
        deep = deep / f"level {number}"
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("here\n")
    (root / "big.bin").write_bytes(random.randbytes(700 * KIB + 13))
    for path in root.rglob("*"):
        path.chmod(0o755)
        os.utime(path, (1, random.randrange(400_000_000, 1_900_000_000, 2)))
    return root


@pytest.fixture(scope="session")
def filled(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a FAT32 volume with the tree."""
    return make(tmp_path_factory.mktemp("fat") / "image", 300 * MIB, ["-F", "32"], files)


def make(image: Path, size: int, options: list[str], files: Path | None = None) -> Path:
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(
        [need("mkfs.vfat", "dosfstools"), *options, str(image)], check=True, capture_output=True
    )
    if files is not None:
        copy(image, *files.iterdir())
    return image


def copy(image: Path, *sources: Path) -> None:
    command = [
        need("mcopy", "mtools"),
        "-s",
        "-m",
        "-Q",
        "-i",
        str(image),
        *map(str, sources),
        "::/",
    ]
    subprocess.run(command, check=True, capture_output=True, env=_ENVIRONMENT)


def volume_of(image: Path) -> _native.Disk:
    file = _native.File(image)
    return _native.Disk.flat(file, 0, file.size)


def expected_only(line: str) -> bool:
    """Whether a difference is one that FAT cannot avoid: owners and times of folders."""
    return "NodeKind.DIRECTORY" not in line


@pytest.mark.timeout(120)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_tree_that_mtools_wrote_is_read_as_it_was(
    variant: str, files: Path, tmp_path: Path
) -> None:
    size, options = VARIANTS[variant]
    image = make(tmp_path / "image", size, [*options, "-n", "EFI PART", "-i", "1234ABCD"], files)
    filesystem = NativeFileSystem(volume_of(image))
    found = [line for line in differences(filesystem, files) if expected_only(line)]
    assert found == []
    volume = filesystem.volume
    assert (volume.kind, volume.label, volume.uuid) == (variant[:5], "EFI PART", "1234-ABCD")
    assert (volume.clean, volume.errors) == (True, False)
    checked = subprocess.run(
        [need("fsck.vfat", "dosfstools"), "-n", str(image)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "files" in checked.stdout


def test_names_are_found_in_any_case_and_by_their_short_form(filled: Path) -> None:
    tree = Tree(NativeFileSystem(volume_of(filled)))
    assert tree.root.ignores_case
    assert tree.read("/efi/GRUBX64.EFI") == b"grubx64.efi" * 9
    assert tree.read("/EFI/\u00dcBER.TXT") == "\u00fcber.txt".encode() * 9
    assert tree.read("/EFI/NOEXTE~1") == b"no extension" * 9
    assert not tree.exists("/EFI/none")
    assert tree.read("/EFI/../EFI/./UPPER.txt") is not None


def test_files_in_many_pieces_are_whole(tmp_path: Path) -> None:
    image = make(tmp_path / "image", 64 * MIB, ["-F", "16", "-s", "4"])
    fill = tmp_path / "fill"
    fill.mkdir()
    for number in range(400):
        (fill / f"f{number}").write_bytes(bytes([number % 251]) * 2048)
    copy(image, *sorted(fill.iterdir()))
    delete = [need("mdel", "mtools"), "-i", str(image)]
    gone = [f"::/f{number}" for number in range(0, 400, 2)]
    subprocess.run([*delete, *gone], check=True, env=_ENVIRONMENT)
    whole = tmp_path / "whole"
    whole.write_bytes(random.randbytes(60 * MIB))
    copy(image, whole)
    filesystem = NativeFileSystem(volume_of(image))
    assert Tree(filesystem).read("/whole", 64 * MIB) == whole.read_bytes()
    node = filesystem.lookup(filesystem.root, b"WHOLE")
    assert node is not None
    data = whole.read_bytes()
    for offset in (0, 1, 2047, 2048, 300_000, len(data) - 5, len(data), len(data) + 9):
        assert filesystem.read_at(node, offset, 5000) == data[offset : offset + 5000]


def test_circles_and_short_chains_are_errors(tmp_path: Path) -> None:
    image = make(tmp_path / "image", 64 * MIB, ["-F", "16", "-s", "4"])
    (tmp_path / "file").write_bytes(b"y" * 100_000)
    copy(image, tmp_path / "file")
    raw = bytearray(image.read_bytes())
    # The file is the first one: its chain starts with cluster 2.
    table = int.from_bytes(raw[14:16], "little") * 512
    assert raw[table + 4 : table + 6] == b"\x03\x00"
    raw[table + 8 : table + 10] = b"\x03\x00"
    image.write_bytes(raw)
    assert Tree(NativeFileSystem(volume_of(image))).read("/file", 4096) == b"y" * 4096
    raw[table + 8 : table + 10] = b"\xff\xff"
    image.write_bytes(raw)
    with pytest.raises(GuestError, match="FAT chain"):
        Tree(NativeFileSystem(volume_of(image))).read("/file")
    raw[table + 8 : table + 10] = b"\xf0\xff"
    image.write_bytes(raw)
    with pytest.raises(GuestError, match="FAT chain"):
        Tree(NativeFileSystem(volume_of(image))).read("/file")


def test_a_directory_that_is_a_circle_ends(tmp_path: Path) -> None:
    image = make(tmp_path / "image", 16 * MIB, ["-F", "16", "-s", "1"])
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(40):
        (folder / f"a long name {number}").touch()
    copy(image, folder)
    raw = bytearray(image.read_bytes())
    table = int.from_bytes(raw[14:16], "little") * 512
    raw[table + 6 : table + 8] = b"\x02\x00"
    raw[table + 4 : table + 6] = b"\x03\x00"
    image.write_bytes(raw)
    with pytest.raises(GuestError, match="circle"):
        Tree(NativeFileSystem(volume_of(image))).names("/folder")


@pytest.mark.parametrize(("option", "place"), [("16", 0x25), ("32", 0x41)])
def test_a_volume_that_was_not_unmounted_is_told(option: str, place: int, tmp_path: Path) -> None:
    image = make(tmp_path / "image", 64 * MIB, ["-F", option])
    with image.open("r+b") as file:
        file.seek(place)
        file.write(b"\x01")
    assert NativeFileSystem(volume_of(image)).volume.clean is False


def test_free_space_is_what_fat32_notes(filled: Path) -> None:
    listed = subprocess.run(
        [need("minfo", "mtools"), "-i", str(filled), "::"],
        capture_output=True,
        text=True,
        check=True,
    )
    free = next(line for line in listed.stdout.splitlines() if line.startswith("free clusters"))
    clusters = int(free.split("=")[1])
    sectors = next(line for line in listed.stdout.splitlines() if line.startswith("cluster size"))
    size = int(sectors.split(":")[1].split()[0]) * 512
    assert NativeFileSystem(volume_of(filled)).volume.free == clusters * size


def test_kinds_and_links_of_fat(filled: Path) -> None:
    filesystem = NativeFileSystem(volume_of(filled))
    assert filesystem.stat(filesystem.root).kind is NodeKind.DIRECTORY
    node = filesystem.lookup(filesystem.root, b"BIG.bin")
    assert node is not None
    with pytest.raises(GuestError, match="not a symbolic link"):
        filesystem.read_link(node)
    with pytest.raises(GuestError, match="not a directory"):
        list(filesystem.entries(node))
    with pytest.raises(GuestError, match="no directory entry"):
        filesystem.stat(1)
