"""Running rules over an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vhdtool.disk.collect import collect_facts
from vhdtool.errors import VhdtoolError
from vhdtool.rules.disk.purpose import boots_by_bios, efi_system_partitions, has_gpt
from vhdtool.rules.model import (
    DiskLocation,
    FileLocation,
    Finding,
    Profile,
    Report,
    RuleFailure,
    Severity,
)
from vhdtool.rules.registry import select_rules
from vhdtool.units import TIB

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from os import PathLike

    from vhdtool.disk.facts import DiskFacts
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
        now: The time to judge timestamps by, with its zone, instead of the clock's.

    Raises:
        ConfigError: A selector fits no rule.
        ValueError: A profile is unknown.
    """
    chosen = tuple(Profile(profile) for profile in profiles)
    rules = select_rules(select, ignore)
    try:
        facts = collect_facts(
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
    return check_facts(facts, profiles=chosen, rules=rules)


def check_facts(
    facts: DiskFacts, *, profiles: Iterable[Profile] = (), rules: Sequence[Rule] | None = None
) -> Report:
    """Run rules (default: all) over facts, for profiles as in `check`.

    A rule that crashes is reported, never silent.
    """
    chosen = tuple(dict.fromkeys(profiles))
    if not _PURPOSES.intersection(chosen):
        chosen = (*default_profiles(facts), *chosen)
    findings: list[Finding] = []
    failures = []
    for rule in select_rules() if rules is None else rules:
        if rule.profiles and not rule.profiles.intersection(chosen):
            continue
        try:
            hits = list(rule.check(facts))
        except Exception as error:  # noqa: BLE001 - whatever a rule raises is a bug of ours
            failures.append(RuleFailure(rule.code, f"{type(error).__name__}: {error}"))
            continue
        findings += [Finding(rule, hit, hit.severity or rule.severity) for hit in hits]
    findings.sort(key=_order)
    return Report(facts.path, facts, chosen, tuple(findings), tuple(failures), None)


def _order(finding: Finding) -> tuple[int, str, int]:
    location = finding.hit.location
    offset = location.offset if isinstance(location, FileLocation | DiskLocation) else -1
    return -finding.severity.rank, finding.rule.code, offset


def default_profiles(facts: DiskFacts) -> tuple[Profile, ...]:
    """Tell from the disk what it is meant for, where the user does not say.

    - A GPT with an EFI system partition boots in a generation 2 machine.
    - An MBR with an active partition or with GRUB's boot code boots in generation 1, and so does a
      GPT with a BIOS boot partition, FreeBSD's boot partition or a partition for legacy boot.
    - A disk that boots both ways is judged for both, since either may be asked for; if it is
      too large for generation 1, for generation 2 only.
    - What boots neither way is a data disk, and so is what cannot be read.
    """
    layout = facts.layout
    if layout is None:
        return (Profile.DATA_DISK,)
    by_bios = boots_by_bios(layout)
    by_uefi = bool(efi_system_partitions(layout))
    if by_bios and by_uefi and has_gpt(layout):
        too_large = facts.virtual_size is not None and facts.virtual_size > _LARGEST_GENERATION_1
        return (Profile.GEN2,) if too_large else (Profile.GEN1, Profile.GEN2)
    if by_bios:
        return (Profile.GEN1,)
    return (Profile.GEN2,) if by_uefi else (Profile.DATA_DISK,)


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
        unread = facts is not None and (facts.open_error is not None or bool(facts.gaps))
        explained = any(finding.severity is Severity.ERROR for finding in report.findings)
        if report.error is not None or (unread and not explained):
            worst = UNREADABLE
        elif fail_on is not None and any(
            finding.severity.rank >= fail_on.rank for finding in report.findings
        ):
            worst = max(worst, FINDINGS)
    return worst
