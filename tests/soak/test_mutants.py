"""Damaged images end every command with a word and a status, in bounded time and memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.soak.forkserver import ForkServer, Outcome
from tests.soak.mutate import mutate
from tests.soak.seeds import corpus_images, made_images

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHARDS = 16
MUTANTS = int(os.environ.get("VHDTOOL_MUTANTS", "160"))
MEMORY_KIB = 512 << 10
SECONDS = 20


@pytest.fixture(scope="session")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    return [*corpus_images(), *made_images(tmp_path_factory.mktemp("seeds"))]


def complaint(outcome: Outcome) -> str | None:
    if outcome.timed_out:
        return f"ran longer than {SECONDS} s"
    if outcome.status not in range(5):
        return f"ended with status {outcome.status}"
    if "Traceback" in outcome.output or "panicked" in outcome.output:
        return "printed a traceback"
    if outcome.peak_kib > MEMORY_KIB:
        return f"took {outcome.peak_kib} KiB"
    return None


def campaign(server: ForkServer, folder: Path, path: Path) -> Iterator[str]:
    """Run every command on one image; yield what each did wrong."""
    data = path.read_bytes()
    output = folder / "converted.vhd"
    for argv in (
        ("check", path),
        ("info", path),
        ("map", path),
        ("convert", path, output),
        ("repair", "--dry-run", path),
    ):
        outcome = server.run(*argv, timeout=SECONDS)
        problem = complaint(outcome)
        if problem is not None:
            yield f"{argv[0]}: {problem}"
        if output.exists() != (argv[0] == "convert" and outcome.status == 0):
            yield f"{argv[0]}: status {outcome.status}, and the output is there or not"
        output.unlink(missing_ok=True)
        left = {file.name for file in folder.iterdir()} - {path.name}
        if left or path.read_bytes() != data:
            yield f"{argv[0]}: changed the image, or left {left}"


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_mutants_end_with_a_status_in_bounds(
    shard: int, seeds: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    failures = []
    with ForkServer() as server:
        for number in range(shard, MUTANTS, SHARDS):
            name, image = seeds[number % len(seeds)]
            path = tmp_path / f"{number}-{name}"
            path.write_bytes(mutate(image, number))
            problems = campaign(server, tmp_path, path)
            failures += [f"mutant {number} of {name}, {problem}" for problem in problems]
            path.unlink()
    assert not failures, "\n".join(failures)
