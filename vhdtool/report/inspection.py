"""What `vhdtool inspect` prints, from the plain data that `guest.summary` sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vhdtool.report.sections import Field, Section
from vhdtool.rules.disk.purpose import boots_by_bios, efi_system_partitions
from vhdtool.units import short_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vhdtool.disk.facts import PartitionFacts
    from vhdtool.report.sections import Value

    Plain = dict[str, Any]

_SYSTEMS = {
    "linux": "Linux",
    "windows": "Windows",
    "bsd": "BSD",
    "none": "none: a data disk",
    "unknown": "unknown: not everything could be read",
}


def firmware(layout: PartitionFacts | None) -> list[str]:
    """Return the kinds of firmware that the disk is made to boot with."""
    if layout is None:
        return []
    kinds = ["BIOS"] if boots_by_bios(layout) else []
    return [*kinds, "UEFI"] if efi_system_partitions(layout) else kinds


def with_firmware(plain: Plain, layout: PartitionFacts | None) -> Plain:
    """Add what the partitions say: firmware, and the generations of Hyper-V machines for it."""
    kinds = firmware(layout)
    generations = [number for number, kind in ((1, "BIOS"), (2, "UEFI")) if kind in kinds]
    return {**plain, "firmware": kinds, "generations": generations}


def describe(plain: Plain) -> Iterator[Section]:
    """Yield the sections of the text."""
    yield _system(plain)
    if plain["verdict"] is not None:
        yield from _verdict(plain["verdict"])
    if plain["boot_chain"]:
        steps = tuple(Field(str(at), step) for at, step in enumerate(plain["boot_chain"], start=1))
        yield Section("boot", steps)
    for title, columns in (
        ("agents", ("name", "version", "state")),
        ("accounts", ("name", "number", "access")),
        ("network", ("interface", "configured by", "address")),
    ):
        if plain[title]:
            yield Section(title, columns=columns, rows=tuple(map(tuple, plain[title])))
    yield _volumes(plain["volumes"])
    if plain["gaps"]:
        yield Section("not read", columns=("what",), rows=tuple((gap,) for gap in plain["gaps"]))


def _system(plain: Plain) -> Section:
    fields = [Field("system", _SYSTEMS[plain["system"]])]
    named = (
        ("product", plain["product"]),
        ("version", plain["version"]),
        ("architecture", plain["architecture"]),
        ("place", plain["place"]),
        ("other_systems", ", ".join(plain["other_systems"])),
        ("host_name", plain["host_name"]),
        ("member_of", plain["member_of"]),
        ("kernels", ", ".join(plain["kernels"])),
    )
    fields += [Field(name, value) for name, value in named if value]
    fields.append(Field("firmware", " and ".join(plain["firmware"]) or "none"))
    numbers = " or ".join(map(str, plain["generations"]))
    fields.append(Field("generation", numbers or "none"))
    return Section("guest", tuple(fields))


def _verdict(verdict: Plain) -> Iterator[Section]:
    fields = [Field("state", verdict["state"]), Field("because", verdict["summary"])]
    if verdict["histories"]:
        fields.append(Field("history", ", ".join(verdict["histories"])))
    fields += [Field("not_read", part) for part in verdict["unread"]]
    yield Section("verdict", tuple(fields))
    if verdict["evidence"]:
        rows = tuple(
            (
                one["points_to"] + (" (decides)" if one["decisive"] else ""),
                one["text"],
                _place(one),
            )
            for one in verdict["evidence"]
        )
        yield Section("evidence", columns=("for", "what", "where"), rows=rows)


def _place(evidence: Plain) -> str:
    if evidence["key"] is not None:
        value = "" if evidence["value"] is None else f", value {evidence['value']}"
        return rf"{evidence['path']}\{evidence['key']}{value}"
    line = "" if evidence["line"] is None else f", line {evidence['line']}"
    return f"{evidence['path']}{line}"


def _volumes(volumes: list[Plain]) -> Section:
    rows: tuple[tuple[Value, ...], ...] = tuple(
        (
            one["name"],
            short_size(one["size"]),
            one["type"],
            one["content"],
            one["label"],
            "" if one["free"] is None else short_size(one["free"]),
            ", ".join(one["mounted"]) if one["unread"] is None else f"not read: {one['unread']}",
        )
        for one in volumes
    )
    columns = ("name", "size", "type", "content", "label", "free", "mounted on")
    return Section("volumes", columns=columns, rows=rows)
