"""What `inspect` tells of a guest: a few words on each part, from whichever model it has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from vhdtool.errors import GuestError
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from vhdtool.guest.guest import Guest
    from vhdtool.guest.verdict import Verdict
    from vhdtool.guest.volumes import DiskVolume

T = TypeVar("T")

Row = tuple[str, ...]


@dataclass(slots=True)
class Summary:
    """The parts that are known; what could not be read is in `gaps`.

    Attributes:
        product: The system's name for people.
        name: Its name for programs: `debian`, `windows`.
        version: `12`, `20348.2227`.
        architecture: What it runs on: `x86-64`, `AArch64`.
        host_name: The name that it has.
        member_of: The domain that it belongs to, "" for none.
        boot_chain: What starts what, in order, one step each.
        kernels: Versions, the one that starts by default first.
        agents: (name, version, whether it starts).
        accounts: (name, number, what is known of it) of people, never what could open them.
        network: (interface, configured by, how it gets its address).
        verdict: Whether new machines can be made of it; None where no model says.
        gaps: What could not be read, one sentence each.
    """

    product: str = ""
    name: str = ""
    version: str = ""
    architecture: str = ""
    host_name: str = ""
    member_of: str = ""
    boot_chain: list[str] = field(default_factory=list)
    kernels: list[str] = field(default_factory=list)
    agents: list[Row] = field(default_factory=list)
    accounts: list[Row] = field(default_factory=list)
    network: list[Row] = field(default_factory=list)
    verdict: Verdict | None = None
    gaps: list[str] = field(default_factory=list)

    def attempt(self, what: str, read: Callable[[], T], default: T) -> T:
        """Return what `read` gives; where it cannot, keep the reason and return `default`."""
        try:
            return read()
        except GuestError as error:
            self.gaps.append(printable(f"{what} cannot be read: {error}"))
            return default


def summarize(guest: Guest) -> Summary:
    """Ask the model of a guest for what `inspect` tells."""
    summary = Summary(gaps=list(guest.gaps))
    if guest.linux is not None:
        from vhdtool.guest.linux.summary import fill

        fill(summary, guest.linux)
    elif guest.windows is not None:
        from vhdtool.guest.windows.summary import fill as fill_windows

        fill_windows(summary, guest.windows)
    elif guest.system is not None:
        from vhdtool.guest.product import product

        summary.product = product(guest.system)
    return summary


def plain_summary(guest: Guest) -> dict[str, object]:
    """Return what is known of a guest as JSON can say it: what `inspect` sends from its worker."""
    summary = summarize(guest)
    return {
        "system": str(guest.kind),
        "place": "" if guest.system is None else guest.system.place,
        "other_systems": [system.place for system in guest.systems[1:]],
        "product": summary.product,
        "name": summary.name,
        "version": summary.version,
        "architecture": summary.architecture,
        "host_name": summary.host_name,
        "member_of": summary.member_of,
        "boot_chain": summary.boot_chain,
        "kernels": summary.kernels,
        "agents": summary.agents,
        "accounts": summary.accounts,
        "network": summary.network,
        "verdict": None if summary.verdict is None else _verdict(summary.verdict),
        "volumes": [_volume(guest, volume) for volume in guest.volumes],
        "gaps": list(dict.fromkeys(summary.gaps)),
    }


def _verdict(verdict: Verdict) -> dict[str, object]:
    return {
        "state": str(verdict.state),
        "summary": verdict.summary,
        "histories": list(verdict.histories),
        "evidence": [
            {
                "name": one.name,
                "points_to": str(one.points_to),
                "decisive": one.decisive,
                "text": one.text,
                "path": one.path,
                "line": one.line,
                "key": one.key,
                "value": one.value,
            }
            for one in verdict.evidence
        ],
        "unread": list(verdict.unread),
    }


def _volume(guest: Guest, volume: DiskVolume) -> dict[str, object]:
    known = None if volume.filesystem is None else volume.filesystem.volume
    return {
        "name": volume.name,
        "size": volume.size,
        "type": "" if volume.partition is None else volume.partition.type_name,
        "content": str(volume.signature or "") if known is None else known.kind,
        "label": "" if known is None else known.label,
        "uuid": "" if known is None else known.uuid,
        "free": None if known is None else known.free,
        "mounted": [mount.folder for mount in guest.mounts if mount.volume is volume],
        "unread": volume.reason if volume.is_unread or volume.is_damaged else None,
    }
