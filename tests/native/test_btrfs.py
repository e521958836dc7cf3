from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.native.conftest import need
from tests.native.mounts import copied, damage, flip, look_around, make, mounted, opened, run
from tests.native.trees import GIB, MIB, differences, make_tree
from vhdtool.errors import GuestError
from vhdtool.guest.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

# Options of mkfs.btrfs, options of mount.
VARIANTS: dict[str, tuple[list[str], str]] = {
    "defaults": ([], "rw"),
    "single": (["-m", "single", "-d", "single"], "rw"),
    "dup": (["-m", "dup", "-d", "dup"], "rw"),
    "mixed": (["-M"], "rw"),
    "zlib": ([], "compress-force=zlib"),
    "lzo": ([], "compress-force=lzo"),
    "zstd": ([], "compress-force=zstd:9"),
    "zlib inline": ([], "compress=zlib,max_inline=4000"),
    "lzo inline": ([], "compress=lzo,max_inline=4000"),
    "zstd inline": ([], "compress=zstd,max_inline=4000"),
    "holes": (["-O", "^no-holes"], "compress=zlib"),
    "old formats": (["-R", "^free-space-tree", "-O", "^skinny-metadata,^extref"], "rw"),
    "4 KiB nodes": (["-n", "4096"], "rw"),
    "64 KiB nodes": (["-n", "65536"], "rw"),
    "xxhash": (["--csum", "xxhash"], "rw"),
    "sha256": (["--csum", "sha256"], "rw"),
    "blake2": (["--csum", "blake2"], "rw"),
}


def btrfs(image: Path, *options: str, size: int = GIB) -> Path:
    return make(image, size, need("mkfs.btrfs", "btrfs-progs"), "-q", "-f", *options)


def tool(*arguments: str) -> str:
    return run(need("btrfs", "btrfs-progs"), *arguments)


def fill(root: Path) -> None:
    """Add text that compresses, sparse, shared and unwritten files, and subvolumes."""
    text = b"".join(b"line %d of a text that compresses\n" % number for number in range(100_000))
    for length in (10, 100, 1000, 2000, 4000, 5000, 131_072, 200_000, len(text)):
        (root / f"text-{length}").write_bytes(text[:length])
    with (root / "holes").open("wb") as file:
        for number in range(50):
            file.seek(number * 300_000)
            file.write(text[: number * 1500])
    run("cp", "--reflink=auto", str(root / "holes"), str(root / "shared"))
    with (root / "shared").open("r+b") as file:
        file.seek(500_000)
        file.write(b"x" * 70_001)
    with (root / "unwritten").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 3 * MIB)
        file.seek(MIB)
        file.write(text[:30_000])
    with (root / "pieces").open("wb") as file:
        for number in range(400):
            file.write(bytes([number % 251]) * 5000)
            file.flush()
            if number % 8 == 0:
                os.fsync(file.fileno())
    tool("subvolume", "create", str(root / "@"))
    (root / "@" / "file").write_text("first")
    tool("subvolume", "create", str(root / "@" / "nested"))
    (root / "@" / "nested" / "deep").write_text("deep")
    tool("subvolume", "snapshot", str(root / "@"), str(root / "snapshot"))
    (root / "@" / "file").write_text("second")
    tool("subvolume", "snapshot", "-r", str(root), str(root / "@" / "whole"))
    tool("subvolume", "create", str(root / "gone"))
    tool("subvolume", "delete", "-c", str(root / "gone"))


# What a snapshot has where a subvolume hung: the kernel makes up its times.
EMPTY = ("/snapshot/nested:", "/@/whole/@:", "/@/whole/snapshot:")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_tree_that_the_kernel_wrote_is_read_as_the_kernel_reads_it(
    variant: str, tmp_path: Path
) -> None:
    options, mount_options = VARIANTS[variant]
    image = btrfs(tmp_path / "image", *options)
    with mounted(image, tmp_path / "mount", mount_options) as root:
        make_tree(root)
        fill(root)
    filesystem = opened(image)
    with mounted(image, tmp_path / "mount") as root:
        found = list(differences(filesystem, root))
        assert [line for line in found if not any(name in line for name in EMPTY)] == []
        assert len(found) <= len(EMPTY)
        free = os.statvfs(root)
    assert filesystem.volume.free is not None
    assert abs(filesystem.volume.free - free.f_bfree * free.f_frsize) < 64 * MIB
    tree = Tree(filesystem)
    assert (tree.read("/@/file"), tree.read("/snapshot/file")) == (b"second", b"first")
    assert tree.read("/@/nested/deep") == b"deep"
    assert tree.names("/snapshot/nested") == []
    assert not tree.exists("/gone")
    told = [note for note in filesystem.volume.notes if "which is not checked" in note]
    assert len(told) == (variant in ("sha256", "blake2"))


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "options", [[], ["-M"], ["-n", "4096"]], ids=["defaults", "mixed", "small"]
)
def test_a_tree_that_mkfs_wrote_is_read_as_it_was(options: list[str], tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", big=110 * MIB)
    # mkfs.btrfs does not take sockets, and writes holes out.
    (tree / "special" / "socket").unlink()
    image = btrfs(tmp_path / "image", *options, "--rootdir", str(tree))
    filesystem = opened(image)
    assert list(differences(filesystem, tree)) == []


def test_the_default_subvolume_is_the_root_and_the_top_level_is_reached(tmp_path: Path) -> None:
    image = btrfs(tmp_path / "image", size=256 * MIB)
    with mounted(image, tmp_path / "mount", "rw") as root:
        tool("subvolume", "create", str(root / "@"))
        tool("subvolume", "create", str(root / "@home"))
        (root / "@" / "etc").mkdir()
        (root / "@" / "home").mkdir()
        (root / "@home" / "user").write_text("here")
        assert opened(image).root == opened(image).top_level
        tool("subvolume", "set-default", str(root / "@"))
    filesystem = opened(image)
    tree = Tree(filesystem)
    assert tree.names("/") == ["etc", "home"]
    top_level = filesystem.top_level
    assert top_level != filesystem.root
    assert {entry.name for entry in filesystem.entries(top_level)} == {b"@", b"@home"}
    assert filesystem.lookup(top_level, b"@") == filesystem.root
    home = filesystem.lookup(top_level, b"@home")
    assert home is not None
    assert tree.mount("/home", filesystem, home)
    assert tree.read("/home/user") == b"here"


def test_a_tree_log_is_told(tmp_path: Path) -> None:
    image = btrfs(tmp_path / "image", size=256 * MIB)
    with mounted(image, tmp_path / "mount", "rw,commit=300") as root:
        (root / "first").write_text("1")
        os.sync()
        with (root / "second").open("w") as file:
            file.write("2")
            file.flush()
            os.fsync(file.fileno())
        copied(image, tmp_path / "dirty")
    filesystem = opened(tmp_path / "dirty")
    assert Tree(filesystem).read("/first") == b"1"
    assert filesystem.volume.clean is False
    assert any("tree log needs to be replayed" in note for note in filesystem.volume.notes)
    assert opened(image).volume.notes == ()
    assert opened(image).volume.clean is None


def test_the_facts_of_a_superblock_are_told(tmp_path: Path) -> None:
    uuid = "01234567-89ab-cdef-0123-456789abcdef"
    image = btrfs(tmp_path / "image", "-L", "root", "-U", uuid, size=256 * MIB)
    volume = opened(image).volume
    assert (volume.kind, volume.label, volume.uuid) == ("btrfs", "root", uuid)
    assert (volume.size, volume.errors, volume.notes) == (256 * MIB, False, ())
    # Metadata keeps the old UUID then.
    other = "11111111-2222-3333-4444-555555555555"
    run(need("btrfstune", "btrfs-progs"), "-f", "-M", other, str(image))
    filesystem = opened(image)
    assert filesystem.volume.uuid == other
    assert list(filesystem.entries(filesystem.root)) == []


@pytest.mark.parametrize(
    ("profile", "told"),
    [("raid0", "RAID0"), ("raid10", "RAID10"), ("raid5", "RAID5"), ("raid6", "RAID6")],
)
def test_data_that_is_spread_over_devices_is_refused(
    profile: str, told: str, tmp_path: Path
) -> None:
    devices = [tmp_path / f"device{number}" for number in range(4)]
    for device in devices:
        with device.open("wb") as file:
            file.truncate(256 * MIB)
    names = [str(device) for device in devices]
    mkfs = need("mkfs.btrfs", "btrfs-progs")
    run(mkfs, "-q", "-f", "-m", "raid1", "-d", profile, *names)
    for device in devices:
        with pytest.raises(GuestError, match=f"{told}|over several devices"):
            opened(device)


def test_a_mirror_is_read_from_one_device_and_told(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("mirrored" * 1000)
    devices = [tmp_path / "device0", tmp_path / "device1"]
    for device in devices:
        with device.open("wb") as file:
            file.truncate(512 * MIB)
    mkfs = need("mkfs.btrfs", "btrfs-progs")
    run(mkfs, "-q", "-f", "-m", "raid1", "-d", "raid1", *map(str, devices))
    for device in devices:
        filesystem = opened(device)
        assert list(filesystem.entries(filesystem.root)) == []
        assert any("is on 2 devices" in note for note in filesystem.volume.notes)


def test_a_damaged_block_is_read_from_its_other_copy_or_told(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "file").write_text("here")
    for profile, copies in (("dup", 2), ("single", 1)):
        options = ["-m", profile, "--rootdir", str(tmp_path / "tree")]
        image = btrfs(tmp_path / profile, *options, size=256 * MIB)
        dump = tool("inspect-internal", "dump-tree", "-t", "fs", str(image))
        address = int(
            next(line for line in dump.splitlines() if line.startswith("leaf")).split()[1]
        )
        mapped = tool("inspect-internal", "dump-tree", "-t", "chunk", str(image))
        places = physical(mapped, address)
        assert len(places) == copies
        flip(image, places[0] + 200)
        if copies == 2:
            assert Tree(opened(image)).read("/file") == b"here"
            flip(image, places[1] + 200)
        with pytest.raises(GuestError, match="checksum of its bytes"):
            Tree(opened(image)).read("/file")


def physical(chunks: str, address: int) -> list[int]:
    """Return where an address is, by the chunk tree as btrfs prints it."""
    found: list[int] = []
    start = length = 0
    for line in chunks.splitlines():
        words = line.split()
        if "CHUNK_ITEM" in line:
            start = int(words[5].rstrip(")"))
        elif words[:1] == ["length"]:
            length = int(words[1])
        elif words[:1] == ["stripe"] and start <= address < start + length:
            found.append(int(words[5]) + address - start)
    return found


def test_random_damage_ends_in_errors(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree", big=110 * MIB)
    (tree / "special" / "socket").unlink()
    image = btrfs(tmp_path / "image", "--csum", "blake2", "--rootdir", str(tree), size=512 * MIB)
    chosen = random.Random(5)
    with image.open("rb") as file:
        data = file.read(64 * MIB)
    # Blocks of trees carry the UUID; BLAKE2 is not checked, so that damage gets far.
    uuid = data[65536 + 32 : 65536 + 48]
    blocks = [at for at in range(0, len(data), 16384) if data[at + 32 : at + 48] == uuid]
    assert len(blocks) > 50
    for _ in range(60):
        places = [
            (chosen.choice(blocks) + chosen.choice((100, 16384)) - chosen.randrange(100))
            % len(data)
            for _ in range(40)
        ]
        bits = [1 << chosen.randrange(8) for _ in places]
        with damage(image, places, bits):
            look_around(image)
