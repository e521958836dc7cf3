"""Running rules over an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vhdtool.disk.collect import collect_opened
from vhdtool.errors import VhdtoolError
from vhdtool.guest.systems import SystemKind
from vhdtool.rules.disk.purpose import boots_by_bios, efi_system_partitions, has_gpt, has_grub
from vhdtool.rules.model import (
    DiskLocation,
    FileLocation,
    Finding,
    GuestLocation,
    Profile,
    RegistryLocation,
    Report,
    Severity,
    Subject,
)
from vhdtool.rules.registry import select_rules
from vhdtool.rules.running import run_rules
from vhdtool.units import TIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from os import PathLike

    from vhdtool.disk.facts import DiskFacts
    from vhdtool.disk.image import Image
    from vhdtool.guest.worker import Limits
    from vhdtool.rules.model import Rule

CLEAN, FINDINGS, UNREADABLE, BUG = 0, 1, 3, 70
_PURPOSES = frozenset((Profile.GEN1, Profile.GEN2, Profile.DATA_DISK))
_LARGEST_GENERATION_1 = 2 * TIB


def check(
    path: str | PathLike[str],
    *,
    profiles: Iterable[Profile | str] = (),
    select: Iterable[str] = (),
    ignore: Iterable[str] = (),
    parent: str | PathLike[str] | None = None,
    parent_dirs: Iterable[str | PathLike[str]] = (),
    ignore_bitmap: bool = False,
    thorough: bool = False,
    guest: bool = True,
    limits: Limits | None = None,
    now: datetime | None = None,
) -> Report:
    """Check an image against Azure's rules; what is wrong with it is in the report.

    Args:
        path: The image file, or a block device.
        profiles: What the image is meant for. Where neither a generation nor `data-disk` is among
            them, that is found from the disk: see `default_profiles`.
        select: Codes, names or beginnings of codes of the only rules to run.
        ignore: Codes, names or beginnings of codes of rules to leave out.
        parent: The parent of a differencing image, instead of the one that it names.
        parent_dirs: Folders, besides the child's own, that parents may come from.
        ignore_bitmap: Read allocated blocks of dynamic VHDs whole, as qemu does.
        thorough: Examine every block's bitmap, however many there are.
        guest: Look at what is on the disk too, not at the container and the partitions only.
        limits: What looking at the guest may take, instead of 512 MiB and 20 seconds.
        now: The time to judge timestamps by, with its zone, instead of the clock's.

    Raises:
        ConfigError: A selector fits no rule.
        ValueError: A profile is unknown.
    """
    chosen = tuple(Profile(profile) for profile in profiles)
    rules = select_rules(select, ignore)
    try:
        facts, image = collect_opened(
            path,
            parent=parent,
            parent_dirs=parent_dirs,
            ignore_bitmap=ignore_bitmap,
            thorough=thorough,
            now=now,
        )
    except VhdtoolError as error:
        return Report(Path(path), None, chosen, (), (), str(error), error.hint)
    except OSError as error:
        return Report(Path(path), None, chosen, (), (), error.strerror or str(error))
    try:
        inside = image if guest else None
        return check_facts(facts, profiles=chosen, rules=rules, image=inside, limits=limits)
    finally:
        if image is not None:
            image.close()


def check_facts(
    facts: DiskFacts,
    *,
    profiles: Iterable[Profile] = (),
    rules: Sequence[Rule] | None = None,
    image: Image | None = None,
    limits: Limits | None = None,
) -> Report:
    """Run rules (default: all) over facts; a rule that crashes is reported, never silent.

    Args:
        facts: What rules of the container and of the partitions look at.
        profiles: What the image is meant for; found from the disk where they do not say.
        rules: The rules to run.
        image: The image, open, to look at what is on it too.
        limits: What that may take.
    """
    named = tuple(dict.fromkeys(profiles))
    chosen_rules = select_rules() if rules is None else rules

    def profiles_of(kind: SystemKind | None) -> tuple[Profile, ...]:
        return named if _PURPOSES.intersection(named) else (*default_profiles(facts, kind), *named)

    inside = None
    if image is not None and facts.layout is not None:
        from vhdtool.rules.inside import look_inside

        inside = look_inside(image, facts.layout, chosen_rules, profiles_of, limits)
    chosen = profiles_of(None if inside is None else inside.kind)
    findings, failures = run_rules(
        [rule for rule in chosen_rules if rule.subject is Subject.DISK], facts, chosen
    )
    if inside is not None:
        findings += inside.findings
        failures += inside.failures
    findings.sort(key=_order)
    outcome = None if inside is None else inside.outcome
    return Report(facts.path, facts, chosen, tuple(findings), tuple(failures), None, guest=outcome)


def _order(finding: Finding) -> tuple[int, str, int, str]:
    location = finding.hit.location
    offset, name = -1, ""
    if isinstance(location, FileLocation | DiskLocation):
        offset = location.offset
    elif isinstance(location, GuestLocation):
        offset, name = location.line or 0, location.path
    elif isinstance(location, RegistryLocation):
        name = f"{location.hive}\\{location.key}"
    return -finding.severity.rank, finding.rule.code, offset, name


def default_profiles(facts: DiskFacts, system: SystemKind | None = None) -> tuple[Profile, ...]:
    """Tell from the disk what it is meant for, where the user does not say.

    What the partitions say counts first:

    - A GPT with an EFI system partition boots in a generation 2 machine.
    - An MBR with an active partition or with GRUB's boot code boots in generation 1, and so does a
      GPT with a BIOS boot partition, FreeBSD's boot partition or a partition for legacy boot.
    - A disk that boots both ways is judged for both, since either may be asked for; if it is
      too large for generation 1, for generation 2 only.
    - What boots neither way is a data disk, and so is what cannot be read.

    Then the system that was found, None where that was not looked for:

    - A disk with a system that boots neither way is one that should: judged for generation 2 if it
      has a GPT, else for generation 1.
    - An MBR that is for generation 1 by its active partition only, with no system on the disk, is
      a data disk.
    """
    layout = facts.layout
    if layout is None:
        return (Profile.DATA_DISK,)
    by_bios = boots_by_bios(layout)
    by_uefi = bool(efi_system_partitions(layout))
    if by_bios and by_uefi and has_gpt(layout):
        too_large = facts.virtual_size is not None and facts.virtual_size > _LARGEST_GENERATION_1
        return (Profile.GEN2,) if too_large else (Profile.GEN1, Profile.GEN2)
    if by_uefi and not by_bios:
        return (Profile.GEN2,)
    if by_bios:
        is_data = system is SystemKind.NONE and not by_uefi and not has_grub(layout)
        return (Profile.DATA_DISK,) if is_data and not has_gpt(layout) else (Profile.GEN1,)
    if system in (SystemKind.LINUX, SystemKind.WINDOWS, SystemKind.BSD):
        return (Profile.GEN2,) if has_gpt(layout) else (Profile.GEN1,)
    return (Profile.DATA_DISK,)


def exit_status(reports: Iterable[Report], fail_on: Severity | None) -> int:
    """Return the worst status: 70 a rule crashed, 3 not read, 1 findings, 0 clean.

    What could not be read counts as such unless a finding of severity error explains it.

    Args:
        reports: What was checked.
        fail_on: The least severity of a finding that counts; None for never.
    """
    worst = CLEAN
    for report in reports:
        if report.failures:
            return BUG
        facts = report.facts
        gaps = () if report.guest is None else report.guest.gaps
        unread = facts is not None and bool(facts.open_error or facts.gaps or gaps)
        explained = any(finding.severity is Severity.ERROR for finding in report.findings)
        if report.error is not None or (unread and not explained):
            worst = UNREADABLE
        elif fail_on is not None and any(
            finding.severity.rank >= fail_on.rank for finding in report.findings
        ):
            worst = max(worst, FINDINGS)
    return worst
