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
class Grains:
    """Which grains a sparse VMDK extent stores."""

    @staticmethod
    def open(file: File) -> Grains | None:
        """Read the header of a file, None where it is no sparse extent."""
    @property
    def capacity(self) -> int:
        """Bytes that the header says the extent has."""

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
    def reader(source: Readable, size: int, grains: Grains | None = None) -> Disk:
        """Wrap a Python object; it is called for at most 2 MiB at a time, from any thread.

        It is not asked for what `grains` says is stored nowhere.
        """
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
    """Check each table entry: inside `data_end`, off the `reserved` (offset, length) ranges, alone.

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
        """Put it all on storage and give the file its name; FileExistsError unless `replace`."""
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
    def open(
        path: str | PathLike[str] | None, compression: str | None = None, job: Job | None = None
    ) -> Stream:
        """Open a file, or standard input for None; cancelling `job` ends the wait for input.

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
    total: int | None = None,
    digests: bool = False,
) -> CopyStats:
    """Write a stream sparsely from offset 0; the result's `size` is its length.

    More than `limit` bytes are an error; `total`, if it is known, becomes the job's.
    """

def verify(job: Job, disk: Disk, digests: Digests) -> int | None:
    """Read a disk and return the offset of the first chunk that is not what was copied, or None."""

@final
class Comparison:
    """How two disks differ over their common length, or over the longer one."""

    first_difference: int | None
    different_bytes: int

def compare(job: Job, a: Disk, b: Disk, *, pad: bool = False) -> Comparison:
    """Compare the common length; with `pad` also the rest of the longer disk, with zeros."""
