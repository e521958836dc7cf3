"""What a machine belongs to: a workgroup, a domain, Entra, a management service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vhdtool.guest.windows.network import TCPIP

if TYPE_CHECKING:
    from vhdtool.guest.registry import Key
    from vhdtool.guest.windows.guest import WindowsGuest

# The SID of the primary domain, in the default value: there only while the machine is a member.
DOMAIN_SID = r"Policy\PolPrDmS"
JOIN_INFO = r"CurrentControlSet\Control\CloudDomainJoin\JoinInfo"
ENROLLMENTS = r"Microsoft\Enrollments"
_REVISION = 1  # the first byte of every SID
_LEAST_SID = 8


@dataclass(frozen=True, slots=True)
class Membership:
    """Where a machine belongs.

    Attributes:
        domain: The name of its domain; "" where it is in a workgroup or the name is unknown.
        is_member: Whether it is a domain's member: by the domain's SID in SECURITY, or where that
            hive is not there by a primary DNS suffix. None where neither can be read.
        by_sid: Whether SECURITY said so.
        joins: Keys of joins to Entra.
        enrollments: Keys of enrolments with a provider.
    """

    domain: str
    is_member: bool | None
    by_sid: bool
    joins: tuple[Key, ...] = ()
    enrollments: tuple[Key, ...] = ()


def read_membership(guest: WindowsGuest) -> Membership:
    """Collect what is known of memberships."""
    system, software, security = guest.system, guest.software, guest.hive("SECURITY")
    suffix = None if system is None else system.text(TCPIP, "NV Domain")
    sid = None if security is None else security.value(DOMAIN_SID, "")
    by_sid = security is not None and security.key(DOMAIN_SID) is not None
    is_member: bool | None
    if by_sid:
        data = b"" if sid is None else sid.data
        is_member = len(data) >= _LEAST_SID and data[0] == _REVISION
    else:
        is_member = None if system is None else bool(suffix)
    joins = None if system is None else system.key(JOIN_INFO)
    enrolled = None if software is None else software.key(ENROLLMENTS)
    return Membership(
        (suffix or "") if is_member else "",
        is_member,
        by_sid,
        () if joins is None else tuple(joins.subkeys()),
        ()
        if enrolled is None
        else tuple(key for key in enrolled.subkeys() if key.text("ProviderID")),
    )
