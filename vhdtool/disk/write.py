"""The bodies of new images: data, partition table, footer, and for a dynamic VHD its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool import _native
from vhdtool.disk.create import DynamicLayout
from vhdtool.errors import OutputError
from vhdtool.formats.vhd import FOOTER_SIZE, UNUSED_ENTRY
from vhdtool.units import SECTOR_SIZE, human_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vhdtool.disk.convert import Request
    from vhdtool.disk.image import Image
    from vhdtool.disk.relocate import Patch
    from vhdtool.formats.vhd import Footer


def write_flat(
    image: Image,
    output: _native.Output,
    request: Request,
    job: _native.Job,
    footer: Footer | None,
    patches: Sequence[Patch],
    size: int,
) -> int:
    """Write a raw disk, or with a footer a fixed VHD; return the bytes of data written."""
    stats = _native.copy_flat(
        job, image.native, output, threads=request.threads, digests=request.verify
    )
    require_copied(output.disk(0, image.size) if request.verify else None, stats, job)
    finish_flat(output, footer, patches, size, verify=request.verify)
    return stats.written_bytes


def finish_flat(
    output: _native.Output,
    footer: Footer | None,
    patches: Sequence[Patch],
    size: int,
    *,
    verify: bool,
) -> None:
    """Grow a copied disk to `size` and write what belongs to the new size."""
    output.set_len(size)
    pieces = [(patch.offset, patch.data) for patch in patches]
    if footer is not None:
        pieces.append((size, footer.build()))
    _put(output, pieces, verify=verify)


def write_dynamic(
    image: Image,
    output: _native.Output,
    request: Request,
    job: _native.Job,
    footer: Footer,
    patches: Sequence[Patch],
) -> int:
    """Write a dynamic VHD; return the bytes of data written."""
    layout = DynamicLayout(footer.current_size)
    table, end, stats = _native.copy_dynamic(
        job,
        image.native,
        output,
        first_block=layout.first_block,
        block_size=layout.block_size,
        table_entries=layout.table_entries,
        threads=request.threads,
        digests=request.verify,
    )
    entries = bytearray(table.ljust(layout.first_block - layout.table_offset, b"\xff"))
    if request.verify:
        output.set_len(end)
        output.write_at(layout.table_offset, bytes(entries))
        require_copied(_reopened(output, layout, image.size), stats, job)
    pieces, end = _patch_blocks(layout, entries, end, patches)
    output.set_len(end + FOOTER_SIZE)
    sealed = footer.build()
    header = layout.header().build()
    pieces += [
        (FOOTER_SIZE, header),
        (layout.table_offset, bytes(entries)),
        (end, sealed),
        (0, sealed),
    ]
    _put(output, pieces, verify=request.verify)
    return stats.written_bytes


def _reopened(output: _native.Output, layout: DynamicLayout, size: int) -> _native.Disk:
    output.settle()
    return _native.Disk.vhd(
        output.file(),
        size=size,
        table_offset=layout.table_offset,
        table_entries=layout.table_entries,
        block_size=layout.block_size,
    )


def _patch_blocks(
    layout: DynamicLayout, entries: bytearray, end: int, patches: Sequence[Patch]
) -> tuple[list[tuple[int, bytes]], int]:
    """Turn patches of the disk into pieces of the file; missing blocks are added at `end`."""
    pieces = []
    for offset, data in _by_block(patches, layout.block_size):
        at = 4 * (offset // layout.block_size)
        sector = int.from_bytes(entries[at : at + 4], "big")
        if sector == UNUSED_ENTRY:
            if not any(data):
                continue
            sector = end // SECTOR_SIZE
            entries[at : at + 4] = sector.to_bytes(4, "big")
            pieces.append((end, b"\xff" * layout.bitmap_size))
            end += layout.bitmap_size + layout.block_size
        start = sector * SECTOR_SIZE + layout.bitmap_size + offset % layout.block_size
        pieces.append((start, data))
    return pieces, end


def _by_block(patches: Sequence[Patch], block_size: int) -> Iterable[tuple[int, bytes]]:
    """Cut patches where a block ends."""
    for patch in patches:
        done = 0
        while done < len(patch.data):
            offset = patch.offset + done
            length = min(len(patch.data) - done, block_size - offset % block_size)
            yield offset, patch.data[done : done + length]
            done += length


def require_copied(disk: _native.Disk | None, stats: _native.CopyStats, job: _native.Job) -> None:
    """Compare what is on storage with the checksums of what was copied, if they were asked for.

    Raises:
        OutputError: The storage returned something else.
    """
    if disk is None or stats.digests is None:
        return
    wrong = _native.verify(job, disk, stats.digests)
    if wrong is not None:
        raise _unequal(f"disk offset {wrong:#x}, within {human_size(disk.size)}")


def _put(output: _native.Output, pieces: Sequence[tuple[int, bytes]], *, verify: bool) -> None:
    for offset, data in pieces:
        output.write_at(offset, data)
    if not verify:
        return
    output.settle()
    file = output.file()
    latest = dict(pieces)
    for offset, data in latest.items():
        if file.read_at(offset, len(data)) != data:
            raise _unequal(f"file offset {offset:#x}")


def _unequal(where: str) -> OutputError:
    return OutputError(
        f"verification failed: the storage returns other bytes than were written, at {where}",
        hint="the storage or the memory is faulty; nothing was left behind",
    )
