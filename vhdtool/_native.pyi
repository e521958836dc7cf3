"""The native core: where the bytes of a virtual disk are, and how to move them fast.

Offsets and lengths are bytes. Files are only read, except through `Output`. Everything may be
shared between threads; calls that take longer than about a millisecond release the GIL.

Errors: `OSError` when the system refuses, `CorruptImage` and `UnsupportedImage` for what an image
says, `ValueError` for a range outside the disk, `KeyboardInterrupt` after `Job.cancel`.
"""

from os import PathLike
from typing import Protocol, final

@final
class File:
    """A regular file or block device, opened for positioned reads."""

    def __new__(cls, path: str | PathLike[str]) -> File: ...
    @property
    def path(self) -> str:
        """The name it was opened by."""
    @property
    def size(self) -> int:
        """Length in bytes when it was opened."""
    @property
    def allocated(self) -> int | None:
        """Bytes that the file takes on its file system, None where that is not known."""
    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode: equal for two names of one file."""
    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to `length` bytes; fewer only at the end of the file."""
    def next_data(self, offset: int) -> tuple[int, int] | None:
        """Return start and end of the first range from `offset` on that may hold data."""
    def with_patches(self, patches: list[tuple[int, bytes]], size: int) -> File:
        """Return the same file as seen through `patches` (later ones win), `size` bytes long."""

class Readable(Protocol):
    """What `Disk.reader` needs of a Python object: a flat disk that decodes itself."""

    def read_at(self, offset: int, length: int) -> bytes: ...

@final
class Disk:
    """A virtual disk as a flat array of bytes, its parents included."""

    @staticmethod
    def flat(file: File, offset: int, size: int) -> Disk:
        """Open a raw image, or the data of a fixed VHD: a window of the file."""
    @staticmethod
    def vhd(
        file: File,
        *,
        size: int,
        table_offset: int,
        table_entries: int,
        block_size: int,
        differencing: bool = False,
        ignore_bitmap: bool = False,
        parent: Disk | None = None,
    ) -> Disk:
        """Open a dynamic or differencing VHD.

        A sector whose bitmap bit is clear reads as zero in a dynamic disk and as the parent's in a
        differencing one. With `ignore_bitmap` a dynamic disk reads the block's bytes instead.
        Blocks past `table_entries` are unallocated. The table is read as it is needed.
        """
    @staticmethod
    def vhdx(
        file: File,
        *,
        size: int,
        table_offset: int,
        table_length: int,
        block_size: int,
        sector_size: int,
        differencing: bool = False,
        parent: Disk | None = None,
    ) -> Disk:
        """Open a VHDX whose log is already replayed (`File.with_patches`)."""
    @staticmethod
    def qcow2(path: str | PathLike[str], parent: Disk | None = None) -> Disk:
        """Open a qcow2 image over its backing file, if it has one."""
    @staticmethod
    def reader(source: Readable, size: int) -> Disk:
        """Wrap a Python object; it is called for at most 2 MiB at a time, from any thread."""
    def slice(self, offset: int, length: int) -> Disk:
        """Return a range of this disk as a disk of its own (a partition)."""
    @property
    def size(self) -> int:
        """Size in bytes."""
    def read_at(self, offset: int, length: int) -> bytes:
        """Read `length` bytes, fewer only at the end of the disk."""
    def extents(
        self, offset: int = 0, length: int | None = None, limit: int = 65536
    ) -> list[tuple[int, int, int]]:
        """Return up to `limit` extents (offset, length, kind) from `offset` on, without gaps.

        Kind 0 is data, 1 zero by an image's tables, 2 a hole: stored nowhere in the chain.
        """

@final
class TableReport:
    """What a VHD's block allocation table says, checked against the file."""

    entries: int  # entries that the disk's size needs
    examined: int  # of these, how many were looked at: fewer where the table is cut off
    allocated: int  # of these, the ones that are not 0xFFFFFFFF
    beyond_size: int  # entries past the needed ones that are not 0xFFFFFFFF
    past_end: list[tuple[int, int]]  # (block, file offset): the block ends past the data area
    clobbering: list[tuple[int, int]]  # (block, file offset): the block lies over a header or table
    overlapping: list[tuple[int, int, int]]  # (block, other block, file offset)
    past_end_count: int
    clobbering_count: int
    overlapping_count: int
    overlap_checked: bool  # False when there were too many blocks to sort in bounded memory
    end_of_blocks: int  # first byte after the last block, 0 without blocks

@final
class BitmapReport:
    """What a dynamic VHD holds in sectors whose bitmap bit is clear."""

    blocks: int  # allocated blocks
    examined: int  # blocks whose bitmap was read
    clear_sectors: int
    nonzero_bytes: int  # bytes other than zero found in those sectors
    first_offset: int | None  # file offset of the first of them
    complete: bool  # False when a bound ended the examination early

def vhd_table_report(
    file: File,
    *,
    size: int,
    table_offset: int,
    table_entries: int,
    block_size: int,
    reserved: list[tuple[int, int]],
    data_end: int,
    limit: int = 16,
) -> TableReport:
    """Check every table entry: inside `data_end`, off the `reserved` (offset, length) ranges, alone.

    The lists hold the first `limit` cases, the counts all of them.
    """

def vhd_bitmap_report(
    file: File,
    *,
    size: int,
    table_offset: int,
    table_entries: int,
    block_size: int,
    max_blocks: int,
    max_bytes: int,
) -> BitmapReport:
    """Look for data under clear bitmap bits in at most `max_blocks` blocks, spread evenly."""

@final
class VhdxTableReport:
    """What a VHDX's block allocation table says, checked against the file."""

    entries: int  # payload entries that the disk's size needs
    states: list[int]  # how many payload entries have each of the 8 states
    bad_states: list[tuple[int, int]]  # (block, state): a state the format does not define here
    bad_state_count: int
    past_end: list[tuple[int, int]]
    clobbering: list[tuple[int, int]]
    overlapping: list[tuple[int, int, int]]
    past_end_count: int
    clobbering_count: int
    overlapping_count: int
    overlap_checked: bool

def vhdx_table_report(
    file: File,
    *,
    size: int,
    table_offset: int,
    table_length: int,
    block_size: int,
    sector_size: int,
    differencing: bool,
    reserved: list[tuple[int, int]],
    limit: int = 16,
) -> VhdxTableReport:
    """Check every payload and bitmap entry of a VHDX."""

@final
class VhdxLogReport:
    """The active sequence of a VHDX log."""

    entries: int  # valid entries that were replayed
    patches: list[tuple[int, bytes]]  # what they write, in order
    file_size: int  # the length the file must at least have after the replay

def vhdx_replay_log(
    file: File, *, log_offset: int, log_length: int, log_guid: bytes
) -> VhdxLogReport:
    """Find and decode the active log sequence; raise CorruptImage when there is none."""

@final
class Qcow2Info:
    """What the header of a qcow2 image says."""

    version: int
    size: int
    cluster_size: int
    backing_file: str | None  # as it stands there, not looked for
    backing_format: str | None

def qcow2_info(path: str | PathLike[str]) -> Qcow2Info:
    """Read and check the header of a qcow2 image."""

def gpt_entries(
    data: bytes, entry_size: int, count: int
) -> list[tuple[int, bytes, bytes, int, int, int, str]]:
    """Return the used entries of a GPT's array, at most 4096.

    Each is (index from 0, type GUID, unique GUID, first LBA, last LBA, attributes, name).
    """

def mbr_logical(
    disk: Disk, first_lba: int, sectors: int, sector_size: int
) -> tuple[list[tuple[int, int, int, int, int]], tuple[int, str] | None]:
    """Follow the chain of an extended partition.

    Returns (disk offset of the entry, status, type, first LBA, sectors) of each logical partition,
    and the disk offset and the reason where the chain broke.
    """

def crc32c(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of `data`."""

def is_zero(data: bytes) -> bool:
    """Tell whether `data` holds zeros only."""

@final
class Job:
    """A running copy, verification or comparison, seen from another thread."""

    def __new__(cls) -> Job: ...
    def cancel(self) -> None:
        """Make the work stop soon with KeyboardInterrupt."""
    def check(self) -> None:
        """Raise KeyboardInterrupt if the work was cancelled."""
    @property
    def done(self) -> int:
        """Bytes of source data worked through so far."""
    @property
    def total(self) -> int | None:
        """Bytes of source data to work through, None until known (or for a stream)."""

@final
class Output:
    """A file that appears under its name whole, or not at all.

    Where the system can, it has no name until `commit` (O_TMPFILE), so that even SIGKILL leaves
    nothing; elsewhere it is written beside its name and removed by `abort`.
    """

    def __new__(cls, path: str | PathLike[str]) -> Output: ...
    def write_at(self, offset: int, data: bytes) -> None:
        """Write all of `data` at `offset`."""
    def set_len(self, length: int) -> None:
        """Make the file `length` bytes long; new bytes are a hole."""
    def file(self) -> File:
        """Return what was written so far, for reading."""
    def settle(self) -> None:
        """Bring what was written to storage and drop it from the cache."""
    def disk(self, offset: int, size: int) -> Disk:
        """Return what was written so far as a disk, read back from storage (`settle`)."""
    def commit(self, *, replace: bool = False) -> None:
        """Write everything to storage and give the file its name; FileExistsError unless `replace`."""
    def abort(self) -> None:
        """Drop what was written. Also done when the object goes away uncommitted."""

@final
class Digests:
    """Checksums of every non-zero chunk that a copy wrote, to verify it by."""

    @property
    def chunks(self) -> int:
        """How many chunks of 2 MiB are not all zero."""

@final
class CopyStats:
    """What a copy did."""

    read_bytes: int  # source data read
    written_bytes: int  # bytes written, zeros between them not counted
    size: int  # bytes of the virtual disk
    digests: Digests | None  # if they were asked for

def copy_flat(
    job: Job,
    source: Disk,
    output: Output,
    *,
    offset: int = 0,
    threads: int | None = None,
    digests: bool = False,
) -> CopyStats:
    """Copy the disk's non-zero bytes to `output` from `offset` on, sparse, in parallel."""

def copy_dynamic(
    job: Job,
    source: Disk,
    output: Output,
    *,
    first_block: int,
    block_size: int,
    table_entries: int,
    threads: int | None = None,
    digests: bool = False,
) -> tuple[bytes, int, CopyStats]:
    """Copy to the blocks of a dynamic VHD, in order, from file offset `first_block` on.

    Returns the table (big-endian, not padded), the offset after the last block, and the figures.
    """

@final
class Stream:
    """Bytes that come once: standard input or a compressed file."""

    @staticmethod
    def open(path: str | PathLike[str] | None, compression: str | None = None) -> Stream:
        """Open a file, or standard input for None.

        `compression` is gzip, xz, zstd, detect (one of these, by the first bytes) or None.
        """
    def peek(self, length: int) -> bytes:
        """Return the first bytes without using them up (at most 1 MiB)."""

def copy_stream(
    job: Job,
    stream: Stream,
    output: Output,
    *,
    limit: int | None = None,
    digests: bool = False,
) -> CopyStats:
    """Write a stream sparsely from offset 0; `size` is its length. More than `limit` is an error."""

def verify(job: Job, disk: Disk, digests: Digests) -> int | None:
    """Read a disk and return the offset of the first chunk that is not what was copied, or None."""

@final
class Comparison:
    """How two disks differ over their common length, or over the longer one."""

    first_difference: int | None
    different_bytes: int

def compare(job: Job, a: Disk, b: Disk, *, pad: bool = False) -> Comparison:
    """Compare the common length; with `pad` also the rest of the longer disk, with zeros."""

@final
class FileSystem:
    """A file system of the guest; nodes are numbers. All calls raise what `Disk.read_at` does.

    `vhdtool.guest.native` wraps it as `vhdtool.guest.filesystem.FileSystem`.
    """

    @staticmethod
    def open(volume: Disk) -> FileSystem:
        """Open the file system on a volume, by its superblock or boot sector.

        Raises:
            UnsupportedImage: None is known, or it needs what is not read.
            CorruptImage: Its structures are damaged.
        """

    def volume(
        self,
    ) -> tuple[
        str,
        bytes,
        str,
        int,
        int | None,
        bool,
        list[str],
        bool | None,
        bool,
        bool | None,
        bool | None,
    ]:
        """Return kind, label, UUID, size, free bytes, whether case is ignored, and notes.

        Then whether it was unmounted, whether errors were noted in it, and for NTFS whether it is
        marked to be checked, and whether its log is clean; None where that is not stored.
        """

    @property
    def root(self) -> int:
        """The node of the root directory."""

    @property
    def top_level(self) -> int:
        """The node from which `subvol=` is looked up: of btrfs the top level, else the root."""

    def lookup(self, directory: int, name: bytes) -> int | None:
        """Return the node of a name, None where the directory has no such name."""

    def entries(self, directory: int) -> list[tuple[bytes, int]]:
        """Return the names in a directory and their nodes, without `.` and `..`."""

    def stat(self, node: int) -> tuple[str, int, int, int, int, int, int, int]:
        """Return kind, size, mode, uid, gid, links, modified and inode."""

    def read_at(self, node: int, offset: int, length: int) -> bytes:
        """Read from a file; fewer bytes at its end, and at most 64 MiB at once."""

    def read_link(self, node: int) -> bytes:
        """Return the target of a symbolic link."""

@final
class Hive:
    """A registry hive; keys are numbers. What is damaged is left out and told by `notes`.

    `vhdtool.guest.registry` wraps it as `vhdtool.guest.registry.Hive`.
    """

    @staticmethod
    def open(data: bytes, logs: list[bytes]) -> Hive:
        """Open the bytes of a hive; a dirty one as it will be after its logs are applied.

        Raises:
            CorruptImage: It is no hive, or has no root key.
            UnsupportedImage: A version before 1.2 or after 1.6.
        """

    @property
    def root(self) -> int:
        """The root key."""

    @property
    def notes(self) -> list[str]:
        """What was applied, and what was found damaged so far, one sentence each."""

    def subkeys(self, node: int) -> list[tuple[str, int]]:
        """Return the names of the keys below a key, and the keys; no key is below two others."""

    def values(self, node: int) -> list[tuple[str, int, bytes]]:
        """Return name, type and bytes of each value; at most 16 MiB of one, 64 MiB of all."""

    def modified(self, node: int) -> int:
        """Return when a key was last written, in seconds since 1970-01-01 UTC."""

def initramfs_names(data: bytes) -> list[bytes]:
    """Return the names in an initial RAM disk, of all its cpio archives, as they are stored.

    Raises:
        UnsupportedImage: It is compressed in a way that is not read (LZO).
        ValueError: It is damaged, unpacks to more than 512 MiB or has more than 200,000 names.
    """

def lvm_volumes(disks: list[Disk]) -> list[tuple[str, str, Disk | None, str]]:
    """Return volume group, name, bytes and note of each LVM2 logical volume on these volumes.

    Volumes without a label are passed over. The bytes are None where the logical volume is not
    linear or striped, a physical volume is missing or the metadata is damaged: the note says which.
    """
