"""Run rules over what they look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vhdtool.rules.model import Finding, RuleFailure

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from vhdtool.rules.model import Profile, Rule


def is_for(rule: Rule, profiles: Collection[Profile]) -> bool:
    """Whether a rule is for one of some profiles."""
    return not rule.profiles or not rule.profiles.isdisjoint(profiles)


def run_rules(
    rules: Iterable[Rule], subject: Any, profiles: Collection[Profile]
) -> tuple[list[Finding], list[RuleFailure]]:
    """Run the rules that are for some profiles; one that crashes is a failure, never silent."""
    findings: list[Finding] = []
    failures: list[RuleFailure] = []
    for rule in rules:
        if not is_for(rule, profiles):
            continue
        try:
            hits = list(rule.check(subject))
        except Exception as error:  # noqa: BLE001 - whatever a rule raises is a bug of ours
            failures.append(RuleFailure(rule.code, f"{type(error).__name__}: {error}"))
            continue
        findings += [Finding(rule, hit, hit.severity or rule.severity) for hit in hits]
    return findings, failures
