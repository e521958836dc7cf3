"""`make bench`: vhdtool beside qemu-img and beside a plain copy, as ratios with their targets."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import images
from benchmarks.race import Entrant, race
from vhdtool.units import GIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[1]
VHDTOOL = str(Path(sys.executable).with_name("vhdtool"))
YARDSTICK = ROOT / "native" / "target" / "release" / "examples" / "plain_copy"
SIZE = 20 * GIB
ALLOCATED = 4 * GIB
MEMORY = Path("/dev/shm")
ROUNDS = 7
QEMU_TO_FIXED = ("-O", "vpc", "-o", "subformat=fixed,force_size=on")
# By measurement its fastest; `-T none -t none` and `-S 0` are slower.
QEMU_BEST = ("-W", "-m", "16")


@dataclass(frozen=True)
class Result:
    """A line of the table: a measured figure and what it should be."""

    job: str
    measured: str
    target: str
    met: bool


class Table:
    """Results, printed as they come."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds
        self.results: list[Result] = []

    def add(self, job: str, measured: str, target: str, *, met: bool) -> None:
        """Keep a result and print it."""
        self.results.append(Result(job, measured, target, met))
        print(f"{job:<58} {measured:>22}   {target:<16} {'' if met else 'MISSED'}", flush=True)

    def faster(self, job: str, ours: Entrant, other: Entrant, least: float) -> None:
        """Compare wall times: `other` takes at least `least` times as long as `ours`."""
        ratio = other.median / ours.median
        times = f"{ours.median:.2f} s, {other.median:.2f} s"
        self.add(f"{job} ({times})", f"{ratio:.2f} x", f">= {least:g} x", met=ratio >= least)

    def within(self, job: str, ours: Entrant, other: Entrant, most: float) -> None:
        """Compare wall times: `ours` takes at most `most` times as long as `other`."""
        ratio = ours.median / other.median
        times = f"{ours.median:.2f} s, {other.median:.2f} s"
        self.add(f"{job} ({times})", f"{ratio:.2f} x", f"<= {most:g} x", met=ratio <= most)

    def under(self, job: str, ours: Entrant, seconds: float, mib: int | None = None) -> None:
        """Compare a whole process with a bound on its time and on its memory."""
        peak = ours.peak_bytes / MIB
        bound = f"< {seconds:g} s" + ("" if mib is None else f", {mib} MiB")
        met = ours.median < seconds and (mib is None or peak < mib)
        self.add(job, f"{ours.median:.3f} s, {peak:.0f} MiB", bound, met=met)

    def memory(self, entrants: list[Entrant], mib: int) -> None:
        """Bound the peak memory of conversions."""
        peak = max(entrant.peak_bytes for entrant in entrants) / MIB
        self.add("peak memory of any of these conversions", f"{peak:.0f} MiB", f"< {mib} MiB",
                 met=peak < mib)  # fmt: skip


@contextmanager
def working_in(folder: Path, name: str) -> Iterator[Path]:
    """Make a folder for images and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"vhdtool-bench-{name}-", dir=folder) as made:
        yield Path(made)


def apart(function: Callable[..., None], *arguments: object) -> None:
    """Make images in a process of its own: what it needed of memory is else counted as ours."""
    process = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    process.start()
    process.join()
    if process.exitcode != 0:
        raise SystemExit(f"cannot make images: {function.__name__} ended with {process.exitcode}")


def ours(source: Path, output: Path) -> Entrant:
    """Return our conversion to a fixed VHD."""
    return Entrant("vhdtool", [VHDTOOL, "convert", str(source), str(output)])


def qemu(source: Path, output: Path, image_format: str, *, best: bool) -> Entrant:
    """Return qemu-img's, with its defaults or as fast as it can."""
    options = QEMU_BEST if best else ()
    command = ["qemu-img", "convert", *options, "-f", image_format, *QEMU_TO_FIXED]
    return Entrant("qemu-img", [*command, str(source), str(output)])


def stored(entrant: Entrant, output: Path) -> Entrant:
    """Let an entrant end when its output is on storage, as ours and the plain copy do."""
    command = ["sh", "-c", 'output=$1; shift; "$@" && sync "$output"', "sh", str(output)]
    return Entrant(entrant.name, [*command, *entrant.command])


def plain_copy(source: Path, runs: Path, output: Path) -> Entrant:
    """Return the copy that knows beforehand what to copy."""
    return Entrant("plain copy", [str(YARDSTICK), str(source), str(runs), str(output)])


def dynamic_to_fixed(
    table: Table, folder: Path, where: str, targets: tuple[float, float], *, on_storage: bool
) -> None:
    """Convert 20 GiB with 4 GiB allocated, of which a sixth is zeros."""
    disk, runs, out = folder / "disk.vhd", folder / "disk.runs", folder / "out.vhd"
    apart(images.write_used_disk, disk, SIZE, ALLOCATED, runs)
    entrants = [ours(disk, out), plain_copy(disk, runs, out)]
    for best in (False, True):
        theirs = qemu(disk, out, "vpc", best=best)
        entrants.append(stored(theirs, out) if on_storage else theirs)
    race(entrants, table.rounds, out)
    we, plain, default, best_of_qemu = entrants
    job = f"dynamic to fixed, {where}"
    table.faster(f"{job}, qemu-img", we, default, targets[0])
    table.faster(f"{job}, qemu-img -W -m 16", we, best_of_qemu, targets[1])
    table.within(f"{job}, plain copy", we, plain, 1.15)
    table.memory([we], 200)


def bench_memory(table: Table, _: Path) -> None:
    """Convert on tmpfs."""
    with working_in(MEMORY, "memory") as folder:
        dynamic_to_fixed(table, folder, "tmpfs", (2.0, 1.5), on_storage=False)


def bench_disk(table: Table, place: Path) -> None:
    """Convert on the machine's disk, to the end: qemu-img alone leaves its output in the cache."""
    with working_in(place, "disk") as folder:
        dynamic_to_fixed(table, folder, "disk", (1.5, 1.15), on_storage=True)


def bench_formats(table: Table, _: Path) -> None:
    """Convert VHDX and qcow2, beside the best of qemu-img."""
    with working_in(MEMORY, "formats") as folder:
        disk, out = folder / "disk.vhd", folder / "out.vhd"
        apart(images.write_used_disk, disk, SIZE, ALLOCATED)
        for name, options in (("vhdx", ("-O", "vhdx")), ("qcow2", ("-O", "qcow2"))):
            source = folder / f"disk.{name}"
            images.convert_by_qemu(disk, source, *options)
            entrants = [ours(source, out), qemu(source, out, name, best=True)]
            race(entrants, table.rounds, out)
            table.faster(f"{name} to fixed, tmpfs, qemu-img -W -m 16", *entrants, least=1.0)
            table.memory(entrants[:1], 200)
            source.unlink()


def bench_chain(table: Table, _: Path) -> None:
    """Convert a chain of three images and the same amount of data in one."""
    with working_in(MEMORY, "chain") as folder:
        flat, youngest, out = folder / "flat.vhd", folder / "chain3.vhd", folder / "out.vhd"
        apart(images.write_used_disk, flat, SIZE, ALLOCATED)
        apart(images.write_chain, youngest, SIZE, ALLOCATED)
        entrants = [ours(youngest, out), ours(flat, out)]
        race(entrants, table.rounds, out)
        table.within("chain of 3 to fixed, tmpfs, the flat disk", *entrants, most=1.5)
        table.memory(entrants, 200)


def bench_sparse(table: Table, place: Path) -> None:
    """Handle the largest dynamic disk: cost follows the data."""
    with working_in(place, "sparse") as folder:
        empty, full, out = folder / "empty.vhd", folder / "full.vhd", folder / "out.vhd"
        apart(images.write_nearly_empty, empty)
        apart(images.write_full_table, full)
        converting = ours(empty, out)
        race([converting], table.rounds, out)
        table.under("convert 2040 GiB with 1 MiB of data", converting, 1.0, 200)
        for name, image in (("full table", full), ("one block", empty)):
            checking = Entrant("vhdtool", [VHDTOOL, "check", str(image)])
            race([checking], table.rounds)
            table.under(f"check 2040 GiB dynamic, {name}", checking, 0.25, 80)
        helping = Entrant("vhdtool", [VHDTOOL, "--help"])
        race([helping], table.rounds)
        table.under("vhdtool --help", helping, 0.15)


def bench_guests(table: Table, place: Path) -> None:
    """Check what is on disks: see `benchmarks.guests`."""
    # Only here: what builds guests needs pytest and, the first time, minutes.
    from benchmarks import guests

    guests.bench_guests(table, place, VHDTOOL)


PARTS: dict[str, Callable[[Table, Path], None]] = {
    "memory": bench_memory,
    "disk": bench_disk,
    "formats": bench_formats,
    "chain": bench_chain,
    "sparse": bench_sparse,
    "guests": bench_guests,
}


def main() -> int:
    """Run the parts that are asked for; exit status 1 where a target was missed."""
    parser = argparse.ArgumentParser(prog="make bench BENCH_ARGS=...", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="counted runs, %(default)s")
    parser.add_argument("--folder", type=Path, help="a folder on a disk with 12 GiB free")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))}: the parts are {', '.join(PARTS)}")
    place = arguments.folder or ROOT / ".make"
    build = "cargo build --quiet --release --locked -p vhdtool-core --example plain_copy"
    subprocess.run(build.split(), cwd=ROOT / "native", check=True)
    print(_machine())
    table = Table(arguments.rounds)
    for name in arguments.parts or PARTS:
        folder = place if name in ("disk", "sparse", "guests") else MEMORY
        needed = {"sparse": 1, "guests": 8}.get(name, 12)
        free = shutil.disk_usage(folder).free if folder.is_dir() else 0
        if free < needed * GIB:
            print(f"{name}: left out, {folder} has {free // GIB} of {needed} GiB free")
            continue
        PARTS[name](table, place)
    missed = [result for result in table.results if not result.met]
    print(f"{len(table.results)} figures, {len(missed)} missed their target")
    return 1 if missed else 0


def _machine() -> str:
    """Say what was measured with what."""
    version = subprocess.run(["qemu-img", "--version"], capture_output=True, text=True, check=True)
    return f"{os.cpu_count()} processors, {version.stdout.splitlines()[0]}, medians"


if __name__ == "__main__":
    sys.exit(main())
