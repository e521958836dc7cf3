"""NTFS as ntfs-3g sees it: entry by entry, byte by byte."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.builders import KIB, MIB, patch
from tests.corpus import unpack
from tests.native.ntfs_volumes import (
    MOUNT_POINT,
    SYMLINK,
    Seen,
    fill,
    link_data,
    make_volume,
    mounted,
    noise,
    open_volume,
    scatter,
    seen_by_ntfs3g,
    seen_by_us,
    set_reparse,
    tool,
)
from vhdtool.disk.image import open_image
from vhdtool.errors import GuestError
from vhdtool.guest.filesystem import NodeKind
from vhdtool.guest.native import NativeFileSystem
from vhdtool.guest.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path


def node(filesystem: NativeFileSystem, path: str) -> int:
    place = Tree(filesystem).find(path, follow=False)
    assert place is not None, path
    return place.node


def differences(found: dict[bytes, Seen], expected: dict[bytes, Seen]) -> list[object]:
    """Return the paths that are seen otherwise, at most 10."""
    paths = sorted(found.keys() | expected.keys())
    pairs = [(path, found.get(path), expected.get(path)) for path in paths]
    return [pair for pair in pairs if pair[1] != pair[2]][:10]


def attributes(volume: Path, path: str) -> list[str]:
    """Return the types of a file's attributes in order, as ntfsinfo lists them."""
    command = [tool("ntfsinfo"), "-F", path, volume]
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in shown.splitlines()]
    return [words[2] for words in lines if words[:2] == ["Dumping", "attribute"]]


@pytest.mark.parametrize("cluster", [512, 4 * KIB, 64 * KIB])
def test_a_tree_of_thousands_is_as_ntfs3g_sees_it(tmp_path: Path, cluster: int) -> None:
    volume = make_volume(tmp_path / "volume.img", 256 * MIB, cluster=cluster)
    with mounted(volume) as root:
        fill(root, compression=cluster <= 4 * KIB)
    with mounted(volume, "ro") as root:
        expected = seen_by_ntfs3g(root)
    # Holes are at least 64 KiB there, and none fits between the pieces.
    assert attributes(volume, "pieces").count("$DATA") > 2 or cluster == 64 * KIB
    filesystem = open_volume(volume)
    assert filesystem.volume.label == "Größe"
    assert filesystem.volume.notes == ()
    assert (filesystem.volume.dirty, filesystem.volume.log_clean) == (False, True)
    found = seen_by_us(filesystem)
    assert len(expected) > 1500
    assert differences(found, expected) == []


def test_a_full_volume_with_files_in_many_pieces_is_read(tmp_path: Path) -> None:
    volume = make_volume(tmp_path / "volume.img", 40 * MIB, cluster=512)
    with mounted(volume) as root:
        scatter(root)
    with mounted(volume, "ro") as root:
        expected = seen_by_ntfs3g(root)
    assert attributes(volume, "scattered").count("$DATA") > 2
    assert attributes(volume, "$MFT").count("$DATA") > 2
    assert len(expected) > 3000
    assert differences(seen_by_us(open_volume(volume)), expected) == []


def test_names_are_found_in_any_case_and_the_very_name_first(tmp_path: Path) -> None:
    volume = make_volume(tmp_path / "volume.img", 32 * MIB)
    with mounted(volume) as root:
        for name in ("Größe", "both", "BOTH", "Both"):
            (root / name).write_text(name)
        for number in range(500):
            (root / f"Filler{number}").touch()
    filesystem = open_volume(volume)
    tree = Tree(filesystem)
    assert filesystem.ignores_case
    assert tree.text("/gRÖSSE") is None
    assert tree.text("/GRÖßE") == "Größe"
    assert [tree.text(f"/{name}") for name in ("both", "BOTH", "Both")] == ["both", "BOTH", "Both"]
    assert tree.text("/bOtH") in ("both", "BOTH", "Both")
    assert tree.is_file("/fILLER499")
    assert not tree.exists("/filler500")
    assert filesystem.lookup(filesystem.root, b"caf\xe9") is None


def test_own_files_are_there_by_name_and_not_listed(tmp_path: Path) -> None:
    filesystem = open_volume(make_volume(tmp_path / "volume.img", 32 * MIB))
    tree = Tree(filesystem)
    assert tree.names("/") == []
    assert tree.is_file("/$mft")
    assert tree.is_folder("/$Extend")
    assert (tree.read("/$UpCase") or b"")[2 * 0xE9 : 2 * 0xE9 + 2] == b"\xc9\0"


def test_free_clusters_are_those_of_ntfs3g(tmp_path: Path) -> None:
    volume = make_volume(tmp_path / "volume.img", 64 * MIB + 12 * KIB)
    with mounted(volume) as root:
        (root / "file").write_bytes(noise(10 * MIB, 1))
        numbers = os.statvfs(root)
    assert open_volume(volume).volume.free == numbers.f_bfree * numbers.f_frsize


def test_links_stay_in_the_guest(tmp_path: Path) -> None:
    volume = make_volume(tmp_path / "volume.img", 32 * MIB)
    with mounted(volume) as root:
        (root / "Windows" / "System32").mkdir(parents=True)
        (root / "Windows" / "win.ini").write_text("ini")
        for name in ("absolute", "relative", "rooted"):
            (root / name).touch()
        for name in ("junction", "other", "share", "guid", "cloud"):
            (root / name).mkdir()
        set_reparse(root / "absolute", SYMLINK, link_data(r"\??\C:\Windows\win.ini", flags=0))
        set_reparse(root / "relative", SYMLINK, link_data(r"Windows\WIN.INI", flags=1))
        set_reparse(root / "rooted", SYMLINK, link_data(r"\Windows\win.ini", flags=1))
        set_reparse(root / "junction", MOUNT_POINT, link_data(r"\??\c:\Windows"))
        set_reparse(root / "other", MOUNT_POINT, link_data(r"\??\D:\Windows"))
        set_reparse(root / "share", SYMLINK, link_data(r"\??\UNC\host\share", flags=0))
        set_reparse(root / "guid", MOUNT_POINT, link_data(r"\??\Volume{0}" + "\\"))
        set_reparse(root / "cloud", 0x9000001A, bytes(16))
    filesystem = open_volume(volume)
    tree = Tree(filesystem)
    for name in ("absolute", "relative", "rooted", "junction/win.ini"):
        assert tree.text(f"/{name}") == "ini", name
    assert tree.read_link("/junction") == "/Windows"
    assert tree.read_link("/relative") == "Windows/WIN.INI"
    for name in ("other", "share", "guid"):
        assert filesystem.stat(node(filesystem, f"/{name}")).kind is NodeKind.OTHER
        assert not tree.exists(f"/{name}/win.ini")
    assert tree.is_folder("/cloud")


def test_without_windows_no_drive_letter_is_this_volume(tmp_path: Path) -> None:
    volume = make_volume(tmp_path / "volume.img", 32 * MIB)
    with mounted(volume) as root:
        (root / "data").mkdir()
        (root / "junction").mkdir()
        set_reparse(root / "junction", MOUNT_POINT, link_data(r"\??\C:\data"))
    filesystem = open_volume(volume)
    assert filesystem.stat(node(filesystem, "/junction")).kind is NodeKind.OTHER


def test_files_whose_bytes_are_elsewhere_are_named(tmp_path: Path) -> None:
    volume = make_volume(tmp_path / "volume.img", 32 * MIB)
    wof = [struct.pack("<IIII", 1, 2, 1, number) for number in range(4)]
    with mounted(volume) as root:
        for number, data in enumerate(wof):
            (root / f"wof{number}").write_bytes(bytes(5000))
            set_reparse(root / f"wof{number}", 0x80000017, data)
        (root / "dedup").write_bytes(bytes(5000))
        set_reparse(root / "dedup", 0x80000013, bytes(16))
    filesystem = open_volume(volume)
    words = ["XPRESS4K", "LZX", "XPRESS8K", "XPRESS16K"]
    for number, word in enumerate(words):
        found = node(filesystem, f"/wof{number}")
        assert filesystem.stat(found).kind is NodeKind.FILE
        assert filesystem.stat(found).size == 5000
        with pytest.raises(GuestError, match=rf"{word}.*0x80000017.*is not read"):
            filesystem.read_at(found, 0, 100)
    with pytest.raises(GuestError, match="deduplicated"):
        filesystem.read_at(node(filesystem, "/dedup"), 0, 100)


def place_of_record(volume: Path, number: int) -> int:
    """Return where a file record of a fresh volume lies: the table is in one piece at first."""
    with volume.open("rb") as file:
        sector = file.read(512)
    cluster = sector[13] * 512
    return int.from_bytes(sector[48:56], "little") * cluster + number * KIB


def place_in_record(volume: Path, number: int, kind: int) -> int:
    """Return where an attribute of such a record starts."""
    record = place_of_record(volume, number)
    with volume.open("rb") as file:
        file.seek(record)
        data = file.read(KIB)
    place = int.from_bytes(data[20:22], "little")
    while (found := int.from_bytes(data[place : place + 4], "little")) != kind:
        assert found != 0xFFFFFFFF
        place += int.from_bytes(data[place + 4 : place + 8], "little")
    return record + place


def test_a_dirty_volume_and_log_are_told(tmp_path: Path) -> None:
    volume = make_volume(tmp_path / "volume.img", 32 * MIB)
    patch(volume, place_in_record(volume, 3, 0x70) + 24 + 10, b"\1\0")
    assert open_volume(volume).volume.dirty is True
    log = place_of_log(volume)
    page = bytearray(4096)
    page[:30] = struct.pack("<4sHHQIIHHH", b"RSTR", 30, 9, 0, 4096, 4096, 48, 1, 1)
    page[48:64] = struct.pack("<QHHHH", 77, 1, 0xFFFF, 0, 0)  # client 0 uses the log
    patch(volume, log, bytes(page))
    assert open_volume(volume).volume.log_clean is False
    page[48:64] = struct.pack("<QHHHH", 78, 1, 0xFFFF, 0xFFFF, 0)
    patch(volume, log + 4096, bytes(page))
    assert open_volume(volume).volume.log_clean is True


def place_of_log(volume: Path) -> int:
    place = place_in_record(volume, 2, 0x80)
    with volume.open("rb") as file:
        file.seek(place + 0x40)
        header, *run = file.read(16)
    length, size = header & 15, header >> 4
    return int.from_bytes(bytes(run[length : length + size]), "little", signed=True) * 4096


def test_an_encrypted_file_is_named(tmp_path: Path) -> None:
    volume = make_volume(tmp_path / "volume.img", 32 * MIB)
    with mounted(volume) as root:
        (root / "secret").write_bytes(noise(10_000, 1))
        number = (root / "secret").stat().st_ino
    place = place_in_record(volume, number, 0x80)
    patch(volume, place + 12, (0x4000).to_bytes(2, "little"))
    filesystem = open_volume(volume)
    with pytest.raises(GuestError, match="encrypted by EFS"):
        filesystem.read_at(node(filesystem, "/secret"), 0, 10)


def test_torn_records_are_refused(tmp_path: Path) -> None:
    volume = make_volume(tmp_path / "volume.img", 32 * MIB)
    with mounted(volume) as root:
        (root / "file").write_text("text")
        number = (root / "file").stat().st_ino
    patch(volume, place_of_record(volume, number) + 1022, b"\xde\xad")
    filesystem = open_volume(volume)
    with pytest.raises(GuestError, match="torn write"):
        filesystem.stat(node(filesystem, "/file"))


def test_the_first_record_may_be_read_from_the_mirror(tmp_path: Path) -> None:
    volume = make_volume(tmp_path / "volume.img", 32 * MIB)
    patch(volume, place_of_record(volume, 0), b"BAAD")
    filesystem = open_volume(volume)
    assert any("mirror" in note for note in filesystem.volume.notes)
    assert Tree(filesystem).is_file("/$UpCase")


def test_without_a_mount_files_are_as_ntfscat_reads_them(tmp_path: Path) -> None:
    """Needs no FUSE, so that it runs everywhere."""
    volume = make_volume(tmp_path / "volume.img", 64 * MIB)
    copy, cat, listing = tool("ntfscp"), tool("ntfscat"), tool("ntfsls")
    names = [f"file number {number} with a name that is not short.txt" for number in range(120)]
    source = tmp_path / "source"
    for number, name in enumerate(names):
        source.write_bytes(noise(number**3, number))
        subprocess.run([copy, volume, source, name], check=True, capture_output=True)
    filesystem = open_volume(volume)
    tree = Tree(filesystem)
    listed = subprocess.run([listing, volume], check=True, capture_output=True, text=True).stdout
    assert tree.names("/") == sorted(set(listed.splitlines()) - {"."}) == sorted(names)
    for name in names:
        shown = subprocess.run([cat, volume, name], check=True, capture_output=True).stdout
        assert tree.read(f"/{name}") == shown


@pytest.mark.parametrize("name", ["ntfs-fixed.vhd.xz", "ntfs-dynamic.vhd.xz", "ntfs-fixed.vhdx.xz"])
def test_disks_of_windows_are_read(tmp_path: Path, name: str) -> None:
    with open_image(unpack(f"disks/dfvfs/{name}", tmp_path)) as image:
        filesystem = NativeFileSystem(image.native.slice(64 * KIB, image.size - 64 * KIB))
        assert filesystem.volume.label == "TestVolume"
        assert (filesystem.volume.dirty, filesystem.volume.log_clean) == (False, True)
        tree = Tree(filesystem)
        names = ["System Volume Information", "a_directory", "a_link", "passwords.txt"]
        assert tree.names("/") == names
        assert tree.names("/A_DIRECTORY") == ["a_file", "another_file"]
        # A link by the drive letter that the volume had then: which one that is, it does not say.
        assert filesystem.stat(node(filesystem, "/a_link")).kind is NodeKind.OTHER
        text = tree.text("/passwords.txt")
        assert text is not None
        assert text.startswith("place,user,password")


def test_a_volume_of_another_maker_is_read(tmp_path: Path) -> None:
    volume = unpack("linux/dfvfs/ntfs.raw.xz", tmp_path)
    filesystem = open_volume(volume)
    assert (filesystem.volume.label, filesystem.volume.uuid) == ("ntfs_test", "1870D4A366D67B00")
    data = Tree(filesystem).read("/passwords.txt")
    shown = subprocess.run(
        [tool("ntfscat"), volume, "passwords.txt"], check=True, capture_output=True
    ).stdout
    assert data is not None
    assert hashlib.sha256(data).digest() == hashlib.sha256(shown).digest()
