from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.corpus import unpack
from tests.native.conftest import need
from tests.native.mounts import mounted
from tests.native.trees import GIB, MIB, differences, make_tree
from vhdtool import _native
from vhdtool.disk.image import open_image
from vhdtool.disk.partitions import read_partitions
from vhdtool.errors import GuestError
from vhdtool.guest.filesystem import NodeKind
from vhdtool.guest.native import NativeFileSystem
from vhdtool.guest.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

# e2fsprogs of Debian 12 is 1.47.0, which has neither of these two on by default.
_NEW = "orphan_file,metadata_csum_seed"

VARIANTS = {
    "defaults": [],
    "e2fsprogs 1.47": ["-O", _NEW],
    "1 KiB blocks": ["-b", "1024"],
    "2 KiB blocks": ["-b", "2048"],
    "bigalloc": ["-O", "bigalloc", "-C", "65536"],
    "bigalloc 1 KiB": ["-O", "bigalloc", "-b", "1024", "-C", "16384"],
    "inline_data": ["-O", "inline_data"],
    "inline_data 1 KiB inodes": ["-O", "inline_data", "-I", "1024"],
    "fast_commit": ["-O", "fast_commit"],
    "large_dir": ["-O", "large_dir", "-b", "1024"],
    "ea_inode": ["-O", "ea_inode"],
    "meta_bg": ["-O", "meta_bg,^resize_inode", "-b", "1024"],
    "meta_bg 4 KiB": ["-O", "meta_bg,^resize_inode"],
    "sparse_super2": ["-O", "sparse_super2,meta_bg,^resize_inode", "-b", "1024"],
    "casefold": ["-O", "casefold"],
    "encrypt verity project quota": ["-O", "encrypt,verity,project,quota"],
    "mmp": ["-O", "mmp"],
    "no checksums": ["-O", "^metadata_csum,^64bit"],
    "uninit_bg": ["-O", "^metadata_csum,uninit_bg"],
    "small inodes": ["-O", "^metadata_csum,^extra_isize", "-I", "128"],
    "ext2": ["-t", "ext2"],
    "ext2 1 KiB blocks": ["-t", "ext2", "-b", "1024"],
    "ext2 revision 0": ["-t", "ext2", "-r", "0", "-O", "none"],
    "ext3": ["-t", "ext3", "-O", "^large_file"],
    "ext3 1 KiB blocks": ["-t", "ext3", "-b", "1024"],
    "no extents": ["-O", "^extent,^64bit,^flex_bg"],
}


def make(image: Path, *options: str, tree: Path | None = None, size: int = GIB) -> Path:
    with image.open("wb") as file:
        file.truncate(size)
    source = ["-d", str(tree)] if tree else []
    kind = [] if "-t" in options else ["-t", "ext4"]
    command = [need("mke2fs", "e2fsprogs"), "-q", "-F", *kind, *options, *source, str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return image


def volume_of(image: Path) -> _native.Disk:
    file = _native.File(image)
    return _native.Disk.flat(file, 0, file.size)


def debugfs(image: Path, *requests: str, write: bool = False) -> str:
    command = [need("debugfs", "e2fsprogs"), *(["-w"] if write else []), "-f", "-", str(image)]
    done = subprocess.run(
        command, input="\n".join(requests), capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.timeout(240)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_tree_that_mke2fs_wrote_is_read_as_it_was(
    variant: str, tree: Path, tmp_path: Path
) -> None:
    image = make(tmp_path / "image", *VARIANTS[variant], tree=tree)
    filesystem = NativeFileSystem(volume_of(image))
    assert list(differences(filesystem, tree)) == []
    assert filesystem.volume.clean
    assert filesystem.volume.kind == (variant[:4] if variant.startswith("ext") else "ext4")


MOUNTED = {
    "defaults": [],
    "1 KiB blocks": ["-b", "1024"],
    "bigalloc": ["-O", "bigalloc", "-C", "65536"],
    "inline_data": ["-O", "inline_data"],
    "fast_commit": ["-O", "fast_commit"],
    "ea_inode inline_data": ["-O", "ea_inode,inline_data", "-I", "512"],
    "meta_bg": ["-O", "meta_bg,^resize_inode", "-b", "1024"],
    "ext2": ["-t", "ext2", "-I", "256"],
    "ext3 1 KiB blocks": ["-t", "ext3", "-b", "1024", "-I", "256"],
    "orphan_file": ["-O", _NEW],
}


def commit(folder: Path) -> None:
    """Bring what was written to storage, metadata to the journal only."""
    for path in (folder / "many" / "name-0900", folder):
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.close(handle)


def fragment(folder: Path) -> None:
    """Write two files of many pieces: the space of every second of 3,000 files."""
    for number in range(3000):
        (folder / f"fill-{number}").write_bytes(bytes([number % 251]) * 4096)
    os.sync()
    for number in range(0, 3000, 2):
        (folder / f"fill-{number}").unlink()
    os.sync()
    with (folder / "one").open("wb") as one, (folder / "two").open("wb") as two:
        for number in range(1500):
            for file in (one, two):
                file.write(bytes([number % 253]) * 3000)
                file.flush()
                if number % 8 == 0:
                    os.fsync(file.fileno())


@pytest.mark.timeout(240)
@pytest.mark.parametrize("variant", MOUNTED)
def test_a_tree_that_the_kernel_wrote_is_read_as_the_kernel_reads_it(
    variant: str, tmp_path: Path
) -> None:
    image = make(tmp_path / "image", *MOUNTED[variant])
    with mounted(image, tmp_path / "mount", "rw") as root:
        make_tree(root, big=2 * GIB + 5 * MIB)
        fragment(root / "many")
        os.utime(root / "mixed" / "2.bin", (1, (1 << 32) + 5))
    filesystem = NativeFileSystem(volume_of(image))
    with mounted(image, tmp_path / "mount") as root:
        assert list(differences(filesystem, root)) == []
        free = os.statvfs(root)
        assert filesystem.volume.free == free.f_bfree * free.f_frsize
    assert filesystem.volume.clean


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "variant", [name for name in MOUNTED if name not in ("ext2", "fast_commit")]
)
def test_a_journal_that_was_not_checkpointed_is_replayed(variant: str, tmp_path: Path) -> None:
    image = make(tmp_path / "image", *MOUNTED[variant])
    dirty = tmp_path / "dirty"
    with mounted(image, tmp_path / "mount", "rw") as root:
        make_tree(root, big=100 * MIB)
        for number in range(200):
            (root / "many" / f"name-{number:04}").unlink()
        (root / "mixed" / "moved").symlink_to("5.bin")
        # Not sync: that would write what is journalled to its place as well.
        commit(root)
        subprocess.run(["cp", "--sparse=always", str(image), str(dirty)], check=True)
    filesystem = NativeFileSystem(volume_of(dirty))
    assert filesystem.volume.clean is False
    assert filesystem.volume.notes == ()
    judged = tmp_path / "judged"
    shutil.copyfile(dirty, judged)
    # Without its flag the journal is left alone, and what it holds is missing.
    shutil.copyfile(dirty, tmp_path / "stale")
    flip(tmp_path / "stale", _INCOMPATIBLE, RECOVER)
    stale = NativeFileSystem(volume_of(tmp_path / "stale"))
    assert set(names(stale)) != set(names(filesystem))
    # Mounting for writing replays the journal.
    with mounted(judged, tmp_path / "mount", "rw") as root:
        assert list(differences(filesystem, root)) == []


# Offsets on the volume.
_STATE = 1024 + 0x3A
_INCOMPATIBLE = 1024 + 0x60
RECOVER = 0x4


def flip(image: Path, offset: int, bits: int) -> None:
    with image.open("r+b") as file:
        file.seek(offset)
        old = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([old ^ bits]))


def names(filesystem: NativeFileSystem) -> list[bytes]:
    """Return what is in the root and one level below."""
    found = []
    for entry in filesystem.entries(filesystem.root):
        found.append(entry.name)
        if filesystem.stat(entry.node).kind is NodeKind.DIRECTORY:
            found += [entry.name + b"/" + child.name for child in filesystem.entries(entry.node)]
    return found


def test_fast_commits_that_are_not_replayed_are_told(tmp_path: Path) -> None:
    image = make(tmp_path / "image", "-O", "fast_commit", size=64 * MIB)
    with mounted(image, tmp_path / "mount", "rw") as root:
        (root / "first").write_text("1")
        os.sync()
        with (root / "second").open("w") as file:
            file.write("2")
            file.flush()
            os.fsync(file.fileno())
        shutil.copyfile(image, tmp_path / "dirty")
    filesystem = NativeFileSystem(volume_of(tmp_path / "dirty"))
    tree = Tree(filesystem)
    told = any("fast commits" in note for note in filesystem.volume.notes)
    assert tree.text("/first") == "1"
    assert told or tree.text("/second") == "2"


JOURNALS = {
    "checksums": ["-O", "64bit,metadata_csum"],
    "64bit": ["-O", "64bit,^metadata_csum"],
    "32 bits": ["-O", "^64bit,^metadata_csum"],
    "ext3": ["-t", "ext3"],
}


@pytest.mark.parametrize("variant", JOURNALS)
def test_what_debugfs_journals_is_seen_as_its_replay_writes_it(
    variant: str, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for name in ("changed", "revoked", "again", "escaped", "kept"):
        (files / name).write_bytes(name.encode() * 512)
    image = make(tmp_path / "image", *JOURNALS[variant], "-b", "1024", tree=files, size=32 * MIB)
    blocks = {
        path.name: debugfs(image, f"blocks /{path.name}").split("\n")[1].split()[0]
        for path in files.iterdir()
    }
    for name in ("new", "newer"):
        (tmp_path / name).write_bytes(name.encode() * 1024)
    (tmp_path / "magic").write_bytes((bytes.fromhex("c03b3998") + b"escape" * 300)[:1024])
    debugfs(
        image,
        f"jo{' -c' if variant == 'checksums' else ''}",
        f"jw -b {blocks['changed']},{blocks['revoked']},{blocks['again']} {tmp_path / 'new'}",
        f"jw -r {blocks['revoked']},{blocks['again']}",
        f"jw -b {blocks['again']} {tmp_path / 'newer'}",
        f"jw -b {blocks['escaped']} {tmp_path / 'magic'}",
        "jc",
        write=True,
    )
    judged = tmp_path / "judged"
    shutil.copyfile(image, judged)
    debugfs(judged, "jr", write=True)
    ours, theirs = NativeFileSystem(volume_of(image)), NativeFileSystem(volume_of(judged))
    assert ours.volume.clean is False
    assert not ours.volume.notes
    for name in blocks:
        assert Tree(ours).read(f"/{name}") == Tree(theirs).read(f"/{name}"), name
    assert Tree(ours).read("/changed", 6) == b"newnew"
    assert Tree(ours).read("/revoked", 7) == b"revoked"
    assert Tree(ours).read("/again", 5) == b"newer"
    assert Tree(ours).read("/escaped", 4) == bytes.fromhex("c03b3998")


def test_a_journal_with_a_wrong_checksum_is_replayed_up_to_it_and_told(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "one").write_bytes(b"one" * 400)
    image = make(tmp_path / "image", "-b", "1024", tree=files, size=32 * MIB)
    block = debugfs(image, "blocks /one").split("\n")[1].split()[0]
    (tmp_path / "new").write_bytes(b"new" * 1024)
    debugfs(image, "jo -c", f"jw -b {block} {tmp_path / 'new'}", "jc", write=True)
    raw = image.read_bytes()
    copy = raw.index(b"newnew")
    flip(image, copy + 100, 1)
    filesystem = NativeFileSystem(volume_of(image))
    assert Tree(filesystem).read("/one", 3) == b"one"
    assert any("wrong checksum" in note for note in filesystem.volume.notes)


def test_the_state_and_the_facts_of_a_superblock_are_told(tmp_path: Path) -> None:
    uuid = "01234567-89ab-cdef-0123-456789abcdef"
    image = make(tmp_path / "image", "-L", "root", "-U", uuid, size=32 * MIB)
    volume = NativeFileSystem(volume_of(image)).volume
    assert (volume.kind, volume.label, volume.uuid) == ("ext4", "root", uuid)
    assert (volume.size, volume.clean, volume.errors, volume.notes) == (32 * MIB, True, False, ())
    free = [
        line for line in debugfs(image, "stats").splitlines() if line.startswith("Free blocks:")
    ]
    block = 4096 if "Block size:               4096" in debugfs(image, "stats") else 1024
    assert volume.free == int(free[0].split()[-1]) * block
    debugfs(image, "ssv state 2", write=True)
    volume = NativeFileSystem(volume_of(image)).volume
    assert (volume.clean, volume.errors) == (False, True)


def test_damage_and_features_that_are_not_read_are_told(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "secret").write_text("?")
    image = make(tmp_path / "image", "-O", "encrypt", tree=files, size=32 * MIB)
    debugfs(image, "sif /secret flags 0x80800", write=True)
    tree = Tree(NativeFileSystem(volume_of(image)))
    with pytest.raises(GuestError, match="encrypted"):
        tree.read("/secret")
    place = debugfs(image, "imap /").splitlines()[-1]
    block, offset = place.split("block ")[1].split(", offset ")
    size = 4096 if "Block size:               4096" in debugfs(image, "stats") else 1024
    flip(image, int(block) * size + int(offset, 16) + 24, 1)
    with pytest.raises(GuestError, match="checksum of inode 2"):
        Tree(NativeFileSystem(volume_of(image))).names("/")
    flip(image, _INCOMPATIBLE, 1)
    with pytest.raises(GuestError, match="compression"):
        NativeFileSystem(volume_of(image))


def test_folded_directories_ignore_case(tmp_path: Path) -> None:
    files = tmp_path / "files"
    (files / "folded").mkdir(parents=True)
    (files / "folded" / "\u00dcber.Txt").write_text("found")
    image = make(tmp_path / "image", "-O", "casefold", tree=files, size=32 * MIB)
    tree = Tree(NativeFileSystem(volume_of(image)))
    assert tree.text("/folded/\u00fcBER.TXT") is None
    debugfs(image, "sif /folded flags 0x40080000", write=True)
    tree = Tree(NativeFileSystem(volume_of(image)))
    assert tree.text("/folded/\u00fcBER.TXT") == "found"
    assert tree.text("/FOLDED") is None


def test_a_volume_that_is_too_short_is_told(tmp_path: Path) -> None:
    image = make(tmp_path / "image", size=32 * MIB)
    os.truncate(image, 16 * MIB)
    assert any("refuses" in note for note in NativeFileSystem(volume_of(image)).volume.notes)


CORPUS = [
    ("disks/discutils/data.ext4.dat.gz", "ext4"),
    ("disks/dfvfs/ext2.vhd.xz", "ext2"),
    ("disks/dfvfs/ext2.vhdx.xz", "ext2"),
    ("linux/dfvfs/ext2.raw.xz", "ext2"),
    ("linux/dfvfs/ext4.raw.xz", "ext4"),
    ("linux/ext4-view/test_disk1.bin.zst", "ext4"),
    ("linux/ext4-view/test_disk_ext2.bin.zst", "ext2"),
    ("linux/ext4-view/test_disk_ext3.bin.zst", "ext3"),
    ("linux/plaso/ext4_with_binaries.dd.xz", "ext4"),
]


@pytest.mark.parametrize(("name", "kind"), CORPUS)
def test_the_corpus_is_read_as_debugfs_dumps_it(name: str, kind: str, tmp_path: Path) -> None:
    with open_image(unpack(name, tmp_path)) as image:
        volume = image.native
        for first in read_partitions(image).partitions[:1]:
            volume = volume.slice(first.offset, first.length)
        plain = tmp_path / "plain"
        plain.write_bytes(volume.read_at(0, volume.size))
        filesystem = NativeFileSystem(volume)
        assert filesystem.volume.kind == kind
        dumped = tmp_path / "dumped"
        dumped.mkdir()
        debugfs(plain, f"rdump / {dumped}")
        found = differences(filesystem, dumped, facts=False, least=2)
        assert [line for line in found if "is encrypted" not in line] == []
