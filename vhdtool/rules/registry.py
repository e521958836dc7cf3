"""Every rule by its code, and how some of them are chosen."""

from __future__ import annotations

import re
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vhdtool.errors import ConfigError
from vhdtool.rules.model import Documentation, Rule, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from vhdtool.rules.model import Hit, Profile, Severity

    Check = Callable[[Any], Iterator[Hit]]

HEADINGS = ("What it checks", "Why it matters", "How to fix", "Source")
_CODE = re.compile(r"[A-Z]{3}\d{3}")
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_MODULES = (
    "vhd.place",
    "vhd.kind",
    "vhd.size",
    "vhd.footer",
    "vhd.geometry",
    "vhd.creator",
    "vhd.dynamic",
    "vhd.parent",
    "vhd.vhdx",
    "vhd.content",
    "disk.boot",
    "disk.gpt",
    "disk.bounds",
    "disk.sizes",
    "disk.marketplace",
    "disk.volumes",
    "disk.recovery",
    "guest.state",
    "guest.leftovers",
    "guest.architecture",
    "guest.signing",
    "guest.volumes",
    "linux.accounts",
    "linux.agent",
    "linux.boot",
    "linux.cloudinit",
    "linux.commandline",
    "linux.drivers",
    "linux.identity",
    "linux.marketplace",
    "linux.mounts",
    "linux.network",
    "linux.provisioned",
    "linux.repositories",
    "linux.sshd",
    "linux.system",
    "linux.traces",
    "linux.verdicts",
    "windows.settings",
    "windows.services",
    "windows.network",
    "windows.drivers",
    "windows.rdp",
    "windows.firewall",
    "windows.boot",
    "windows.policies",
    "windows.releases",
    "windows.condition",
    "windows.sealed",
    "windows.answers",
    "windows.identity",
    "windows.generalizing",
    "windows.roles",
    "windows.role_conditions",
    "windows.servers",
    "windows.volume",
    "windows.marketplace",
)

_rules: dict[str, Rule] = {}
_names: set[str] = set()


def rule(
    code: str,
    name: str,
    *,
    severity: Severity,
    profiles: Iterable[Profile] = (),
    subject: Subject = Subject.DISK,
    since: str = "0.1",
) -> Callable[[Check], Check]:
    """Register a check; its docstring, under fixed headings, is its documentation.

    Raises:
        ValueError: The code or name is malformed or taken, or a heading is missing.
    """

    def register(check: Check) -> Check:
        if not _CODE.fullmatch(code) or not _NAME.fullmatch(name):
            raise ValueError(f"{code} {name}: want a code like VHD007 and a name in kebab-case")
        if code in _rules or name in _names:
            raise ValueError(f"{code} {name}: the code or the name is taken")
        documentation = _document(code, check.__doc__ or "")
        _names.add(name)
        chosen = frozenset(profiles)
        _rules[code] = Rule(code, name, severity, chosen, since, documentation, check, subject)
        return check

    return register


def _document(code: str, docstring: str) -> Documentation:
    """Split a docstring at its headings, which must all be there, in order, with text."""
    lines = [line.strip() for line in docstring.strip().splitlines()]
    parts: dict[str, list[str]] = {}
    heading = ""
    for line in lines:
        if line.startswith("## "):
            heading = line.removeprefix("## ")
            parts[heading] = []
        elif heading:
            parts[heading].append(line)
    texts = ["\n".join(parts.get(wanted, [])).strip() for wanted in HEADINGS]
    if tuple(parts) != HEADINGS or not all(texts):
        raise ValueError(f"{code}: the docstring must have the headings {', '.join(HEADINGS)}")
    return Documentation(*texts)


def rules() -> dict[str, Rule]:
    """Return every rule by code, in the order of the codes."""
    for module in _MODULES:
        import_module(f"vhdtool.rules.{module}")
    return dict(sorted(_rules.items()))


def select_rules(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> list[Rule]:
    """Return the rules that are selected and not ignored; all are selected where none is named.

    A selector is a code, a name, or the beginning of a code. Of those that fit a rule the longest
    decides; `ignore` wins over an equal `select`.

    Raises:
        ConfigError: A selector fits no rule.
    """
    known = rules()
    chosen = {selector: _codes(selector, known) for selector in select}
    ignored = {selector: _codes(selector, known) for selector in ignore}
    result = []
    for code, candidate in known.items():
        wanted = max((_weight(s, code) for s, codes in chosen.items() if code in codes), default=-1)
        unwanted = max(
            (_weight(s, code) for s, codes in ignored.items() if code in codes), default=-1
        )
        if (wanted if chosen else 0) > unwanted:
            result.append(candidate)
    return result


def _weight(selector: str, code: str) -> int:
    """How closely a selector fits: a name as closely as the whole code."""
    return len(selector) if code.startswith(selector.upper()) else len(code)


def _codes(selector: str, known: dict[str, Rule]) -> set[str]:
    fitting = {
        code
        for code, candidate in known.items()
        if selector and (code.startswith(selector.upper()) or candidate.name == selector)
    }
    if not fitting:
        from difflib import get_close_matches

        words = [*known, *(candidate.name for candidate in known.values())]
        close = get_close_matches(selector, words) or sorted(
            get_close_matches(selector.upper(), words, n=len(words)),
            key=lambda word: _shared_beginning(word, selector.upper()),
            reverse=True,
        )
        hint = f"did you mean {close[0]}?" if close else "`vhdtool rule --all` lists the rules"
        raise ConfigError(f"no rule is called {selector!r}", hint=hint)
    return fitting


def _shared_beginning(one: str, other: str) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
