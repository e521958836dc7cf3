from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.corpus import unpack
from tests.crc32c import crc32c
from tests.native.conftest import need
from tests.native.mounts import copied, damage, flip, look_around, make, mounted, opened, run
from tests.native.trees import MIB, differences, make_tree
from vhdtool.disk.image import open_image
from vhdtool.disk.partitions import read_partitions
from vhdtool.errors import GuestError
from vhdtool.guest.filesystem import NodeKind
from vhdtool.guest.native import NativeFileSystem
from vhdtool.guest.tree import Tree

if TYPE_CHECKING:
    from pathlib import Path

    from vhdtool.guest.filesystem import FileSystem

SIZE = 400 * MIB
VARIANTS = {
    "defaults": [],
    "1 KiB blocks": ["-b", "size=1024"],
    "1 KiB blocks, 64 KiB directories": ["-b", "size=1024", "-n", "size=65536"],
    "64 KiB directories": ["-n", "size=65536"],
    "nrext64": ["-i", "nrext64=1"],
    "no bigtime": ["-m", "bigtime=0"],
    "4 KiB sectors": ["-s", "size=4096"],
    "plain": ["-m", "finobt=0,rmapbt=0,reflink=0,inobtcount=0"],
    "rmapbt": ["-m", "rmapbt=1"],
    "2 KiB inodes": ["-i", "size=2048,sparse=0"],
}


def xfs(image: Path, *options: str, size: int = SIZE) -> Path:
    return make(image, size, need("mkfs.xfs", "xfsprogs"), "-q", "-f", *options)


def xfs_db(image: Path, *requests: str, write: bool = False) -> str:
    commands = [part for request in requests for part in ("-c", request)]
    return run(need("xfs_db", "xfsprogs"), "-x" if write else "-r", *commands, str(image))


def fragment(root: Path) -> None:
    """Add what takes trees: a file of 1,500 pieces, shared and unwritten ones, a big directory."""
    with (root / "pieces").open("wb") as file:
        for number in range(1500):
            file.seek(number * 8192)
            file.write(bytes([number % 251]) * 4096)
    run("cp", "--reflink=auto", str(root / "pieces"), str(root / "shared"))
    with (root / "shared").open("r+b") as file:
        file.seek(5000)
        file.write(b"x" * 9000)
    with (root / "unwritten").open("wb") as file:
        file.write(b"head" * 1000)
        os.posix_fallocate(file.fileno(), 0, 3 * MIB)
        file.seek(MIB)
        file.write(b"middle" * 5000)
    huge = root / "huge"
    huge.mkdir()
    names = [
        huge / f"a-long-name-for-a-file-{number:05}-{'y' * (number % 90)}" for number in range(5000)
    ]
    for name in names:
        name.touch()
    for name in names[::3]:
        name.unlink()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_tree_that_the_kernel_wrote_is_read_as_the_kernel_reads_it(
    variant: str, tmp_path: Path
) -> None:
    image = xfs(tmp_path / "image", *VARIANTS[variant])
    with mounted(image, tmp_path / "mount", "rw") as root:
        make_tree(root)
        fragment(root)
        os.utime(root / "mixed" / "2.bin", (1, (1 << 31) - 5))
    filesystem = opened(image)
    with mounted(image, tmp_path / "mount") as root:
        assert list(differences(filesystem, root)) == []
    assert filesystem.volume.clean
    assert filesystem.volume.notes == ()


PROTO = {
    "version 5": [],
    "version 4": ["-m", "crc=0"],
    "version 4 without file types": ["-m", "crc=0", "-n", "ftype=0", "-b", "size=512"],
    "version 4, 32 KiB directories": ["-m", "crc=0", "-n", "size=32768", "-b", "size=1024"],
    "64 KiB directories": ["-n", "size=65536"],
}


def prototype(folder: Path, file: Path) -> None:
    """Write a protofile of mkfs.xfs for a tree of 1,500 entries, and the tree beside it."""
    folder.mkdir()
    lines = ["/dev/null", "0 0", "d--755 0 0"]
    chosen = random.Random(3)

    def add_files(place: Path, count: int, longest: int) -> None:
        for number in range(count):
            path = place / f"{number:04}-{'n' * chosen.randrange(longest)}"
            path.write_bytes(chosen.randbytes(chosen.choice((0, 1, 300, 5000, 20_000))))
            path.chmod(0o640)
            lines.append(f"{path.name} ---640 {os.getuid()} {os.getgid()} {path}")

    for name, count, longest in (("many", 1000, 60), ("few", 5, 10), ("some", 500, 230)):
        (folder / name).mkdir()
        lines.append(f"{name} d--755 0 0")
        add_files(folder / name, count, longest)
        lines.append("$")
    # Longer ones leave their inode, and mkfs.xfs 6.1 forgets their header then.
    for length in (10, 150, 300):
        (folder / f"link{length}").symlink_to("t" * length)
        lines.append(f"link{length} l--777 0 0 {'t' * length}")
    os.mkfifo(folder / "pipe", 0o600)
    lines += ["pipe p--600 0 0", "$", "$"]
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("variant", PROTO)
def test_a_tree_that_mkfs_wrote_is_read_as_it_was(variant: str, tmp_path: Path) -> None:
    prototype(tmp_path / "tree", tmp_path / "proto")
    image = xfs(tmp_path / "image", "-p", str(tmp_path / "proto"), *PROTO[variant])
    filesystem = opened(image)
    assert list(differences(filesystem, tmp_path / "tree", facts=False)) == []
    assert filesystem.volume.clean
    stat = Tree(filesystem).stat("/many")
    assert stat is not None
    assert (stat.links, stat.uid) == (2, 0)


def test_names_are_looked_up_in_any_case_where_the_file_system_says_so(tmp_path: Path) -> None:
    proto = tmp_path / "proto"
    proto.write_text("/dev/null\n0 0\nd--755 0 0\nReadMe ---644 0 0 /dev/null\n$\n")
    image = xfs(tmp_path / "image", "-n", "version=ci", "-p", str(proto))
    filesystem = opened(image)
    assert filesystem.ignores_case
    assert Tree(filesystem).exists("/README")
    assert not Tree(filesystem).exists("/README1")


def churn(root: Path, seed: int) -> None:
    """Change names, sizes, modes and kinds at random."""
    chosen = random.Random(seed)
    folder = root / "churn"
    folder.mkdir(exist_ok=True)
    files = [folder / f"first-{seed}"]
    files[0].touch()
    for number in range(1500):
        path = folder / f"n{seed}-{number}-{'z' * chosen.randrange(60)}"
        kind, place = chosen.randrange(6), chosen.randrange(len(files))
        other = files[place]
        if kind < 2:
            path.write_bytes(chosen.randbytes(chosen.randrange(20_000)))
            files.append(path)
        elif kind == 2 and len(files) > 9:
            files.pop(place).unlink()
        elif kind == 3:
            path.symlink_to("t" * chosen.randrange(1, 900))
        elif kind == 4:
            files[place] = other.rename(path)
        else:
            os.truncate(other, chosen.randrange(50_000))
            other.chmod(chosen.randrange(0o1000))
            os.utime(other, (1, chosen.randrange(1 << 31)))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("flush", [True, False], ids=["flushed", "lost"])
@pytest.mark.parametrize(
    "variant", ["defaults", "1 KiB blocks", "64 KiB directories", "nrext64", "no bigtime", "plain"]
)
def test_a_dirty_log_is_replayed_as_the_kernel_replays_it(
    variant: str, flush: bool, tmp_path: Path
) -> None:
    stop = [need("xfs_io", "xfsprogs"), "-x", "-c", "shutdown -f" if flush else "shutdown"]
    image = xfs(tmp_path / "image", *VARIANTS[variant])
    with mounted(image, tmp_path / "mount", "rw") as root:
        make_tree(root, big=110 * MIB)
        churn(root, 1)
        os.sync()
        churn(root, 2)
        with (root / "synced").open("wb") as file:
            file.write(b"synced")
            file.flush()
            os.fsync(file.fileno())
        churn(root, 3)
        run(*stop, str(root))
    filesystem = opened(image)
    assert filesystem.volume.clean is False
    assert filesystem.volume.notes == ()
    assert Tree(filesystem).read("/synced") == b"synced"
    # Without its log the file system is another.
    assert names(opened(without_log(image, tmp_path / "bare"))) != names(filesystem)
    with mounted(copied(image, tmp_path / "judged"), tmp_path / "mount", "rw") as root:
        assert list(differences(filesystem, root)) == []
    judged = opened(tmp_path / "judged").volume
    assert judged.clean
    assert judged.uuid == filesystem.volume.uuid


def field(image: Path, name: str, *place: str) -> int:
    """Return a number of a structure, by xfs_db."""
    return int(xfs_db(image, *(place or ("sb 0",)), f"print {name}").split(" = ")[1].split()[0], 0)


def without_log(image: Path, target: Path) -> Path:
    """Copy an image and put zeros where its log is."""
    copied(image, target)
    start, size = field(image, "logstart"), field(image, "blocksize")
    group, inside = divmod(start, 1 << field(image, "agblklog"))
    with target.open("r+b") as file:
        file.seek((group * field(image, "agblocks") + inside) * size)
        file.write(bytes(field(image, "logblocks") * size))
    return target


def names(filesystem: FileSystem) -> list[tuple[bytes, int]]:
    """Return names and sizes in the root and one level below."""
    found = []
    for entry in filesystem.entries(filesystem.root):
        if filesystem.stat(entry.node).kind is NodeKind.DIRECTORY:
            found += [
                (child.name, filesystem.stat(child.node).size)
                for child in filesystem.entries(entry.node)
            ]
        found.append((entry.name, 0))
    return sorted(found)


def test_a_log_that_cannot_be_replayed_is_told(tmp_path: Path) -> None:
    image = xfs(tmp_path / "image")
    with mounted(image, tmp_path / "mount", "rw") as root:
        (root / "before").write_text("1")
        os.sync()
        with (root / "after").open("w") as file:
            file.write("2")
            file.flush()
            os.fsync(file.fileno())
        run(need("xfs_io", "xfsprogs"), "-x", "-c", "shutdown -f", str(root))
    assert Tree(opened(image)).read("/after") == b"2"
    start, size = field(image, "logstart"), field(image, "blocksize")
    group, inside = divmod(start, 1 << field(image, "agblklog"))
    begin = (group * field(image, "agblocks") + inside) * size
    with image.open("r+b") as file:
        file.seek(begin)
        log = bytearray(file.read(field(image, "logblocks") * size))
        # The machine that wrote it counts the other way round.
        for at in range(0, len(log), 512):
            if log[at : at + 4] == b"\xfe\xed\xba\xbe":
                log[at + 300 : at + 304] = (2).to_bytes(4, "big")
                log[at + 32 : at + 36] = bytes(4)
        file.seek(begin)
        file.write(log)
    filesystem = opened(image)
    assert filesystem.volume.clean is False
    assert any("was not (an XFS log written by" in note for note in filesystem.volume.notes)
    assert not Tree(filesystem).exists("/after")


def test_the_facts_of_a_superblock_are_told(tmp_path: Path) -> None:
    uuid = "01234567-89ab-cdef-0123-456789abcdef"
    image = xfs(tmp_path / "image", "-L", "root", "-m", f"uuid={uuid}")
    volume = opened(image).volume
    assert (volume.kind, volume.label, volume.uuid) == ("XFS", "root", uuid)
    assert (volume.size, volume.clean, volume.errors, volume.notes) == (SIZE, True, False, ())
    assert volume.free == field(image, "fdblocks") * 4096
    # Metadata keeps the old UUID then.
    run(need("xfs_admin", "xfsprogs"), "-U", "11111111-2222-3333-4444-555555555555", str(image))
    filesystem = opened(image)
    assert filesystem.volume.uuid == "11111111-2222-3333-4444-555555555555"
    assert list(filesystem.entries(filesystem.root)) == []


def test_a_log_on_another_device_is_told(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        file.truncate(128 * MIB)
    volume = opened(xfs(tmp_path / "image", "-l", f"logdev={log},size=64m")).volume
    assert volume.clean is None
    assert any("log is on another device" in note for note in volume.notes)


def test_what_is_damaged_or_not_read_is_told(tmp_path: Path) -> None:
    proto = tmp_path / "proto"
    proto.write_text("/dev/null\n0 0\nd--755 0 0\nfile ---644 0 0 /etc/hostname\n$\n")
    image = xfs(tmp_path / "image", "-p", str(proto))
    inode = next(opened(image).entries(opened(image).root)).node
    realtime = copied(image, tmp_path / "realtime")
    xfs_db(realtime, f"inode {inode}", "write core.realtime 1", write=True)
    with pytest.raises(GuestError, match="realtime device"):
        Tree(opened(realtime)).read("/file")
    damaged = copied(image, tmp_path / "damaged")
    # The first group starts at inode 0, and inodes have 512 bytes.
    flip(damaged, inode * 512 + 24)
    with pytest.raises(GuestError, match="checksum"):
        opened(damaged).stat(inode)
    zoned = copied(image, tmp_path / "zoned")
    with zoned.open("r+b") as file:
        block = bytearray(file.read(512))
        block[218] |= 0x02
        block[224:228] = bytes(4)
        block[224:228] = crc32c(bytes(block)).to_bytes(4, "little")
        file.seek(0)
        file.write(block)
    with pytest.raises(GuestError, match="zoned"):
        opened(zoned)
    os.truncate(image, SIZE // 2)
    assert any("Linux refuses to mount it" in note for note in opened(image).volume.notes)


@pytest.mark.parametrize("version", ["4", "5"])
def test_random_damage_ends_in_errors(version: str, tmp_path: Path) -> None:
    prototype(tmp_path / "tree", tmp_path / "proto")
    options = ["-m", "crc=0"] if version == "4" else []
    image = xfs(tmp_path / "image", "-p", str(tmp_path / "proto"), *options)
    chosen = random.Random(11)
    used = [at for at in range(0, 32 * MIB, 4096) if any(image_page(image, at))]
    for _ in range(60):
        places = [chosen.choice(used) + chosen.randrange(4096) for _ in range(40)]
        bits = [1 << chosen.randrange(8) for _ in places]
        with damage(image, places, bits):
            look_around(image)


def image_page(image: Path, at: int) -> bytes:
    with image.open("rb") as file:
        file.seek(at)
        return file.read(4096)


def paths(filesystem: FileSystem) -> set[tuple[int, bytes]]:
    """Return inode and path of everything, as the ncheck command of xfs_db prints them."""
    found = set()
    pending = [(filesystem.root, b"")]
    while pending:
        folder, path = pending.pop()
        for entry in filesystem.entries(folder):
            below = path + entry.name
            if filesystem.stat(entry.node).kind is NodeKind.DIRECTORY:
                found.add((entry.node, below + b"/."))
                pending.append((entry.node, below + b"/"))
            else:
                found.add((entry.node, below))
    return found


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ["linux/dfvfs/xfs.raw.xz", "disks/discutils/xfs.vhdx.gz"])
def test_disks_of_the_corpus_are_read_as_xfs_db_reads_them(name: str, tmp_path: Path) -> None:
    disk = open_image(unpack(name, tmp_path))
    parts = read_partitions(disk).partitions
    volume = disk.native.slice(parts[0].offset, parts[0].length) if parts else disk.native
    filesystem = NativeFileSystem(volume)
    bare = tmp_path / "bare"
    with bare.open("wb") as file:
        file.truncate(volume.size)
        for extent in volume.extents(0, volume.size):
            if extent[2] == 0:
                for at in range(extent[0], extent[0] + extent[1], 1 << 22):
                    length = min(1 << 22, extent[0] + extent[1] - at)
                    file.seek(at)
                    file.write(volume.read_at(at, length))
    listed = run(need("xfs_db", "xfsprogs"), "-r", "-c", "blockget -n", "-c", "ncheck", str(bare))
    expected = {
        (int(line.split(None, 1)[0]), os.fsencode(line.split(None, 1)[1]))
        for line in listed.splitlines()
    }
    assert paths(filesystem) == expected
    assert filesystem.volume.clean
