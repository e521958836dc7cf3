"""Damaged guests and hives end every command with a word and a status, in bounds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.soak.forkserver import ForkServer
from tests.soak.guest_mutate import GuestSeed, Mutant, mend, mutate_guest
from tests.soak.guest_seeds import guest_seeds
from tests.soak.test_mutants import MUTANTS, SECONDS, SHARDS, complaint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# What the worker says of itself when it had to be stopped, or a reader of ours gave up.
ENDS = ("bug in vhdtool", "was ended by signal", "ended with status", "makes no sense")
BOUNDS = ("took longer than", "needed more than", "nested too deeply")
# Seeds whose file systems have checksums wherever they can.
SEALED = ("ext4.raw", "xfs-crc1.raw", "btrfs.raw", "ntfs.raw", "xfs.raw")
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")


@pytest.fixture(scope="session")
def guests(tmp_path_factory: pytest.TempPathFactory) -> list[GuestSeed]:
    return list(guest_seeds(tmp_path_factory.mktemp("guests")))


def campaign(server: ForkServer, path: Path, file: str) -> Iterator[str]:
    """Run every command that looks inside on one disk; yield what each did wrong."""
    for argv in (
        ("check", path),
        ("inspect", path),
        ("walk", path),
        ("ls", "-l", path, file.rpartition("/")[0] or "/"),
        ("cat", "--limit", "1MiB", path, file),
        ("reg", path, "SYSTEM", "CurrentControlSet/Control"),
    ):
        outcome = server.run(*argv, timeout=SECONDS)
        problem = complaint(outcome)
        said = [word for word in (*ENDS, *BOUNDS) if word in outcome.output]
        if problem is None and said:
            problem = f"said: {said[0]}"
        if problem is None and argv[0] != "cat" and CONTROL.search(outcome.output):
            problem = "printed control characters"
        if problem is not None:
            yield f"{argv[0]}: {problem}: {outcome.output[-400:]}"


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_damaged_guests_end_with_a_status_in_bounds(
    shard: int, guests: list[GuestSeed], tmp_path: Path
) -> None:
    failures = []
    with ForkServer() as server:
        for number in range(shard, MUTANTS, SHARDS):
            seed = guests[number % len(guests)]
            path = tmp_path / f"{number}-{seed.name}"
            mutate_guest(seed, number).store(path)
            problems = campaign(server, path, seed.file)
            failures += [f"mutant {number} of {seed.name}, {problem}" for problem in problems]
            path.unlink()
    assert not failures, "\n".join(failures)


@pytest.mark.soak
def test_mending_leaves_checksums_that_are_right(guests: list[GuestSeed]) -> None:
    """The mutants' makers agree with the systems' own tools, or nothing damaged would be read."""
    for seed in guests:
        if seed.name in SEALED:
            mutant = Mutant(seed, seed.size, dict(seed.blocks))
            mend(mutant)
            assert mutant.blocks == seed.blocks, seed.name
