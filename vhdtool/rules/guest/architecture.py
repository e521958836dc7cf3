"""What processor a guest is made for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.guest.declare import ERROR, GEN1, GEN2, guest_rule
from vhdtool.rules.linux.hits import path_hit
from vhdtool.rules.windows import generic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.guest.guest import Guest
    from vhdtool.rules.model import Hit

_AZURE = ("x86_64", "aarch64")


@guest_rule("GEN205", "guest-of-32-bits", ERROR)
def guest_of_32_bits(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    The programs of a Linux, and the kernel of Windows, have addresses of 64 bits.

    ## Why it matters
    Azure supports no others, and certification refuses them.

    ## How to fix
    Install the distribution's 64-bit edition.

    ## Source
    - Azure Marketplace, certification test 49; Azure, "Prepare Linux for imaging"
    """
    if guest.windows is not None:
        yield from generic.not_64_bits(guest.windows)
    program = None if guest.linux is None else guest.linux.architecture
    if program is not None and program.bits != 64:
        message = f"the program is for {program.machine} with {program.bits} bits, expected 64"
        yield path_hit(message, program.path, None, program.header)


@guest_rule("GEN206", "architecture-not-in-azure", ERROR, GEN2)
def architecture_not_in_azure(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    The programs of a Linux are for x86-64 or Arm64, which Azure has machines of.

    ## Why it matters
    An image's definition says which of the two it is for; others do not run.

    ## How to fix
    Install the distribution's edition for x86-64 or Arm64.

    ## Source
    - Azure, "Support for generation 2 VMs"; "Azure Compute Gallery", architecture
    """
    program = None if guest.linux is None else guest.linux.architecture
    if program is not None and program.bits == 64 and program.machine not in _AZURE:
        message = f"the program is for {program.machine}, expected x86_64 or aarch64"
        yield path_hit(message, program.path, None, program.header)


@guest_rule("GEN207", "arm64-in-generation-1", ERROR, GEN1)
def arm64_in_generation_1(guest: Guest) -> Iterator[Hit]:
    """
    ## What it checks
    A guest for Arm64 is not meant for generation 1.

    ## Why it matters
    Azure's machines with Arm64 are of generation 2 only.

    ## How to fix
    Give the disk a GPT with an EFI system partition.

    ## Source
    - Azure, "Support for generation 2 VMs"
    """
    if guest.windows is not None:
        yield from generic.arm64_in_generation_1(guest.windows)
    program = None if guest.linux is None else guest.linux.architecture
    if program is not None and program.machine == "aarch64":
        message = "the program is for aarch64, expected x86_64 in generation 1"
        yield path_hit(message, program.path, None, program.header)
