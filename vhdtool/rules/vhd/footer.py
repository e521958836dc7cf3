"""The fields of the footer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from vhdtool.disk.facts import ImageFormat
from vhdtool.formats.vhd import FOOTER_SIZE, NO_OFFSET, VHD_EPOCH
from vhdtool.rules.evidence import counted, field_hit
from vhdtool.rules.model import FileLocation, Hit, Severity
from vhdtool.rules.registry import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts

_VERSION = 0x0001_0000
_FEATURES = 0x0000_0002
_TEMPORARY = 0x0000_0001
_TAP = b"tap\0"
_RESERVED = 85
_SPARSE = (ImageFormat.VHD_DYNAMIC, ImageFormat.VHD_DIFFERENCING)
# Clocks of build machines differ, and so do their time zones' mistakes.
_CLOCK_SLACK = timedelta(days=1)


@rule("VHD009", "footer-checksum-wrong", severity=Severity.ERROR)
def checksum(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The footer's checksum is the ones' complement of the sum of its bytes, with those of the
    checksum taken as zero. Old XenServer images, where the hidden byte was set without a new
    checksum, pass.

    ## Why it matters
    The footer was changed or damaged. Readers that check it refuse the file; others trust a size
    that may be wrong.

    ## How to fix
    `vhdtool repair IMAGE` takes the copy at the start of the file if there is one, or else writes a
    new checksum if every other field is plausible.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Checksum"
    - xapi-project/blktap, vhd-util check: the exception for the creator `tap`
    """
    footer = None if facts.vhd is None else facts.vhd.footer
    if footer is not None and not footer.value.checksum_ok:
        found, expected = footer.value.checksum, footer.value.computed_checksum
        yield field_hit(f"checksum is {found:#010x}, expected {expected:#010x}", footer, 64, 4)


@rule("VHD010", "footer-version-unknown", severity=Severity.ERROR)
def version(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The footer's format version is 1.0.

    ## Why it matters
    There is no other; readers refuse the file.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd`

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "File Format Version"
    """
    if facts.vhd is not None and facts.vhd.active.value.version != _VERSION:
        found = facts.vhd.active.value.version
        message = f"format version is {found:#010x}, expected {_VERSION:#010x}"
        yield field_hit(message, facts.vhd.active, 12, 4)


@rule("VHD011", "footer-features-unusual", severity=Severity.WARNING)
def features(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    Of the features only bit 1 is set. It is reserved and must always be set; bit 0 marks a
    temporary disk.

    ## Why it matters
    A temporary disk may be deleted when its machine shuts down. Other bits have no meaning, and
    strict readers refuse them.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd` writes 0x00000002.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Features"
    - xapi-project/blktap, vhd-util check
    """
    if facts.vhd is None:
        return
    found = facts.vhd.active.value.features
    if found != _FEATURES:
        meaning = " (temporary disk)" if found & _TEMPORARY else ""
        message = f"features are {found:#010x}{meaning}, expected {_FEATURES:#010x}"
        yield field_hit(message, facts.vhd.active, 8, 4)


@rule("VHD012", "fixed-disk-with-data-offset", severity=Severity.WARNING)
def data_offset(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The data offset of a fixed disk is all ones: 64 bits, or the 32 that the specification prints.

    ## Why it matters
    A fixed disk has no dynamic header. A reader that follows the offset finds the guest's data.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd`

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Data Offset"
    """
    if facts.vhd is None or facts.format is not ImageFormat.VHD_FIXED:
        return
    found = facts.vhd.active.value.data_offset
    if found not in (NO_OFFSET, 0xFFFF_FFFF):
        message = f"data offset is {found:#x}, expected {NO_OFFSET:#x} in a fixed disk"
        yield field_hit(message, facts.vhd.active, 16, 8)


@rule("VHD019", "saved-state", severity=Severity.WARNING)
def saved_state(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The saved state flag is 0.

    ## Why it matters
    The disk belongs to a suspended machine. Its file systems lack what was still in the machine's
    memory.

    ## How to fix
    Resume the machine, shut it down cleanly, and take the image again.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Saved State"
    """
    if facts.vhd is not None and facts.vhd.active.value.saved_state:
        found = facts.vhd.active.value.saved_state
        yield field_hit(f"saved state is {found}, expected 0", facts.vhd.active, 84, 1)


@rule("VHD020", "hidden-disk", severity=Severity.WARNING)
def hidden(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    A XenServer image is not marked as hidden.

    ## Why it matters
    A hidden image is a node inside a chain of snapshots, not the disk as its machine last saw it.

    ## How to fix
    Export the disk from XenServer instead of copying the file.

    ## Source
    - xapi-project/blktap, include/vhd.h
    """
    if facts.vhd is None:
        return
    footer = facts.vhd.active.value
    if footer.creator_application == _TAP and footer.reserved[:1] not in (b"", b"\0"):
        message = f"the hidden byte of a XenServer image is {footer.reserved[0]}, expected 0"
        yield field_hit(message, facts.vhd.active, _RESERVED, 1)


@rule("VHD021", "footer-reserved-bytes-set", severity=Severity.INFO)
def reserved(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The reserved bytes at the end of the footer are zero. In XenServer images the first of them, the
    hidden byte, is left to VHD020.

    ## Why it matters
    Some tool left a mark there that others do not know.

    ## How to fix
    Nothing needs to be done; `vhdtool convert` writes zeros.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Reserved"
    """
    if facts.vhd is None:
        return
    footer = facts.vhd.active.value
    skip = 1 if footer.creator_application == _TAP else 0
    rest = footer.reserved[skip:]
    if any(rest):
        first = next(place for place, byte in enumerate(rest) if byte)
        count = len(rest) - rest.count(0)
        found = counted(count, "reserved byte is", "reserved bytes are")
        message = f"{found} not zero, expected none"
        length = min(16, len(rest) - first)
        yield field_hit(message, facts.vhd.active, _RESERVED + skip + first, length)


@rule("VHD022", "footer-uuid-null", severity=Severity.WARNING)
def unique_id(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The disk has a unique ID.

    ## Why it matters
    Differencing disks recognise their parent by it, and tools tell disks apart by it.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd` gives the disk a new one.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Unique Id"
    - xapi-project/blktap, vhd-util check
    """
    if facts.vhd is not None and not facts.vhd.active.value.unique_id.int:
        yield field_hit("the unique ID is all zeros, expected a UUID", facts.vhd.active, 68, 16)


@rule("VHD023", "footer-time-in-the-future", severity=Severity.INFO)
def timestamp(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The time of creation is not more than a day in the future.

    ## Why it matters
    The clock of the machine that made the image was wrong, or the field is damaged.

    ## How to fix
    Nothing needs to be done; `vhdtool convert` writes the time of the conversion.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Time Stamp"
    """
    if facts.vhd is None:
        return
    made = datetime.fromtimestamp(VHD_EPOCH + facts.vhd.active.value.timestamp, UTC)
    if made > facts.now + _CLOCK_SLACK:
        message = f"time stamp is {made:%Y-%m-%dT%H:%M:%SZ}, expected a time in the past"
        yield field_hit(message, facts.vhd.active, 24, 4)


@rule("VHD027", "footer-copy-differs", severity=Severity.WARNING)
def footer_copy(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The footer at the end of a dynamic or differencing disk and the copy at its start are equal.

    ## Why it matters
    A writer was interrupted between the two, or one of them is damaged. Tools differ in which one
    they believe.

    ## How to fix
    `vhdtool repair IMAGE` copies the valid one over the other; `vhdtool convert` writes new ones.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Dynamic Hard Disk Image"
    """
    if facts.vhd is None or facts.vhd.footer is None or facts.format not in _SPARSE:
        return
    footer, copy = facts.vhd.footer, facts.vhd.footer_copy
    if copy is None:
        place = FileLocation(0, FOOTER_SIZE)
        yield Hit("there is no copy of the footer at offset 0, expected one", place)
    elif copy.raw[: len(footer.raw)] != footer.raw:
        pairs = enumerate(zip(copy.raw, footer.raw, strict=False))
        wrong = [place for place, (one, other) in pairs if one != other]
        found = counted(len(wrong), "byte", "bytes")
        message = f"the copy of the footer differs from it in {found}, expected none"
        yield field_hit(message, copy, wrong[0], min(8, FOOTER_SIZE - wrong[0]))
