"""Where the footer is: at the very end, once, 512 bytes long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.disk.facts import ImageFormat
from vhdtool.formats.vhd import FOOTER_SIZE
from vhdtool.rules.evidence import counted, field_hit
from vhdtool.rules.model import FileLocation, Hit, Severity
from vhdtool.rules.registry import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import DiskFacts

_MISSING = "the file does not end with a VHD footer"


@rule("VHD001", "no-footer", severity=Severity.ERROR)
def no_footer(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The last 512 bytes of the file are a VHD footer: they begin with the cookie `conectix`. Files in
    another container format are reported by VHD005 and VHD038 instead.

    ## Why it matters
    Azure reads the footer to learn the size of the disk. Without one it answers InvalidVhd, naming
    the cookie it expected, but only after the whole upload.

    ## How to fix
    `vhdtool convert IMAGE OUT.vhd`, or `vhdtool convert --in-place DISK.raw` to append a footer to
    a raw disk. If only the copy at the start of the file is left: `vhdtool repair IMAGE`.

    ## Source
    - Azure Marketplace, VM certification FAQ (learn.microsoft.com/partner-center)
    - Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format"
    """
    place = FileLocation(max(0, facts.file_size - FOOTER_SIZE), min(FOOTER_SIZE, facts.file_size))
    if facts.format is ImageFormat.RAW:
        end = b"" if facts.layout is None else facts.layout.last_sector[-FOOTER_SIZE:][:8]
        yield Hit(f"{_MISSING}, expected the cookie conectix", place, end)
    elif facts.vhd is not None and facts.vhd.footer is None:
        copy = facts.vhd.active.offset
        yield Hit(
            f"{_MISSING}, expected the cookie conectix; a copy of it is at offset {copy:#x}",
            place,
        )


@rule("VHD002", "bytes-after-footer", severity=Severity.ERROR)
def bytes_after_footer(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    Nothing follows the footer.

    ## Why it matters
    Azure looks for the footer in the last 512 bytes. Tools that pad a finished VHD to a whole
    number of MiB move it away from there.

    ## How to fix
    `vhdtool repair IMAGE` cuts the file off behind the footer if its checksum and size are right.

    ## Source
    - Microsoft support, "VHD not supported / InvalidVhd"
    - nixpkgs issue 516860: an image resized after its conversion
    """
    if facts.vhd is not None and facts.vhd.footer is not None and facts.vhd.trailing_bytes:
        footer = facts.vhd.footer
        yield Hit(
            counted(facts.vhd.trailing_bytes, "byte follows", "bytes follow")
            + f" the footer, expected none: it is at offset {footer.offset:#x} of a file of"
            f" {facts.file_size} bytes",
            FileLocation(footer.offset + len(footer.raw), facts.vhd.trailing_bytes),
        )


@rule("VHD008", "file-length-not-size-plus-footer", severity=Severity.ERROR)
def file_length(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    A fixed VHD is exactly as long as its virtual size and the 512 bytes of the footer.

    ## Why it matters
    Azure compares the length of the blob with the size in the footer. A file that was cut short has
    lost data; one that is too long holds bytes that belong to no disk.

    ## How to fix
    Build the image again, or copy it again from its source.

    ## Source
    - Azure, "Prepare a Windows VHD or VHDX to upload to Azure"
    - Azure Marketplace, VM certification FAQ
    """
    if facts.vhd is None or facts.vhd.footer is None or facts.format is not ImageFormat.VHD_FIXED:
        return
    footer = facts.vhd.footer
    size = footer.value.current_size
    if footer.offset != size:
        wrong = "short of" if footer.offset < size else "past"
        yield field_hit(
            f"{footer.offset} bytes precede the footer, {abs(footer.offset - size)} bytes"
            f" {wrong} the virtual size of {size} bytes",
            footer,
            48,
            8,
        )


@rule("VHD024", "footer-of-511-bytes", severity=Severity.ERROR)
def legacy_footer(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The footer is 512 bytes long, not 511 as Virtual PC wrote it before 2004.

    ## Why it matters
    The length of the file is not a multiple of 512, as that of a page blob must be.

    ## How to fix
    `vhdtool repair IMAGE` appends the missing byte; `vhdtool convert` writes a new footer.

    ## Source
    - Virtual Hard Disk Image Format Specification 1.0, "Hard Disk Footer Format"
    """
    if facts.vhd is not None and facts.vhd.legacy_footer and facts.vhd.footer is not None:
        yield field_hit("the footer is 511 bytes long, expected 512", facts.vhd.footer, 0, 8)


@rule("VHD045", "second-footer", severity=Severity.ERROR)
def second_footer(facts: DiskFacts) -> Iterator[Hit]:
    """
    ## What it checks
    The disk's data does not end with another VHD footer.

    ## Why it matters
    A VHD was wrapped in another VHD, usually because a footer was appended twice. The disk is then
    512 bytes too long, is not a whole number of MiB, and ends with bytes that are not part of it.

    ## How to fix
    Build the image again from the raw disk, or cut off the last 512 bytes and check the rest.

    ## Source
    - Field knowledge: tools that can append a footer to any file make it easy
    """
    if facts.vhd is not None and facts.vhd.second_footer_offset is not None:
        offset = facts.vhd.second_footer_offset
        yield Hit(
            f"the disk's data ends with another VHD footer, at offset {offset:#x}, expected none",
            FileLocation(offset, FOOTER_SIZE),
            b"conectix",
        )
