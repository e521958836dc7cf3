"""What the native core and a check cost inside a process; `make bench` runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import vhdtool
from benchmarks import images
from vhdtool import _native
from vhdtool.units import GIB, MIB

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

CHUNK = 2 * MIB  # what the copy engine reads and scans as one


@pytest.fixture(scope="module")
def full_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("full") / "full.vhd"
    images.write_full_table(path)
    return path


@pytest.mark.benchmark(group="zero scan")
def test_zero_scan_of_cached_data(benchmark: BenchmarkFixture) -> None:
    # Multiplied, so that each has memory of its own, more in all than a processor's cache.
    chunks = [b"\0" * CHUNK for _ in range(64)]

    def scan() -> bool:
        return all(_native.is_zero(chunk) for chunk in chunks)

    assert benchmark(scan)
    rate = len(chunks) * CHUNK / benchmark.stats.stats.median
    benchmark.extra_info["GiB/s"] = round(rate / GIB, 1)
    print(f"zero scan: {rate / GIB:.1f} GiB/s")
    assert rate >= 8 * GIB


@pytest.mark.benchmark(group="check")
def test_check_of_a_million_allocated_blocks(benchmark: BenchmarkFixture, full_table: Path) -> None:
    report = benchmark(vhdtool.check, full_table)
    assert report.error is None


@pytest.mark.benchmark(group="extents")
def test_extents_of_a_million_allocated_blocks(
    benchmark: BenchmarkFixture, full_table: Path
) -> None:
    def count() -> int:
        with vhdtool.open_image(full_table) as image:
            return sum(extent.length for extent in image.extents())

    assert benchmark(count) == images.LARGEST


@pytest.mark.benchmark(group="reading")
def test_reading_sectors_anywhere(benchmark: BenchmarkFixture, full_table: Path) -> None:
    with vhdtool.open_image(full_table) as image:
        places = [at * 7_654_321 * 512 % image.size for at in range(1000)]

        def read() -> None:
            for place in places:
                image.read_at(place, 512)

        benchmark(read)
