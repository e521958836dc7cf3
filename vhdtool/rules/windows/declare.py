"""Declaring rules of Windows guests in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vhdtool.rules.model import Profile, Severity, Subject
from vhdtool.rules.registry import rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vhdtool.guest.windows.guest import WindowsGuest
    from vhdtool.rules.model import Hit

    Check = Callable[[WindowsGuest], Iterator[Hit]]

ERROR, WARNING, INFO = Severity.ERROR, Severity.WARNING, Severity.INFO
GEN1, GEN2 = Profile.GEN1, Profile.GEN2
GENERALIZED, SPECIALIZED = Profile.GENERALIZED, Profile.SPECIALIZED
MARKETPLACE = Profile.MARKETPLACE


def windows_rule(
    code: str, name: str, severity: Severity, *profiles: Profile
) -> Callable[[Check], Check]:
    """Register a check of a Windows guest, for some profiles or, without any, for all."""
    return rule(code, name, severity=severity, profiles=profiles, subject=Subject.WINDOWS)
