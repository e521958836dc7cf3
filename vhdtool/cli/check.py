"""`vhdtool check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vhdtool.cli.answer import put_answer, wants_color
from vhdtool.cli.config import Config, find_config, load_config
from vhdtool.cli.guard import say
from vhdtool.cli.options import IgnoreBitmap, Parent, ParentDirs, among, choice
from vhdtool.errors import ConfigError
from vhdtool.report.render import FORMATS, Asked, render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vhdtool.rules.model import Profile, Rule, Severity

EXAMPLES = """\
Examples:
  vhdtool check disk.vhd
  vhdtool check --profile azure-gen2,marketplace disk.vhd
  vhdtool check --ignore VHD036,DSK1 --fail-on warning *.vhd
  vhdtool check --format sarif -o findings.sarif disk.vhd

Profiles: azure-gen1, azure-gen2, data-disk, generalized, specialized, marketplace. Where none of
the first three is named, it is found from the disk and the system on it. A rule is named by its
code, its name or the beginning of codes; `vhdtool rule --all` lists them, `vhdtool rule RULE`
explains one. The guest is read in a process of its own with 512 MiB and 20 seconds.

Exit status 0: nothing at or above --fail-on; 1: findings; 3: an image cannot be read, or not
whole, and no error says why; 70: a rule crashed. The worst of several images counts.
Settings are read from vhdtool.toml, or [tool.vhdtool] of pyproject.toml, in this folder or the
nearest above it: profile, select, ignore, fail-on, parent-dir. Options stand above them."""

_FAIL_ON = ("error", "warning", "info", "never")


def run(
    *,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="The images to check.")],
    profile: Annotated[
        list[str] | None,
        typer.Option("--profile", metavar="NAMES", help="What it is meant for, comma-separated."),
    ] = None,
    select: Annotated[
        list[str] | None,
        typer.Option("--select", metavar="RULES", help="Run these only, comma-separated."),
    ] = None,
    ignore: Annotated[
        list[str] | None,
        typer.Option("--ignore", metavar="RULES", help="Leave these out, comma-separated."),
    ] = None,
    fail_on: Annotated[
        str | None,
        typer.Option(
            "--fail-on",
            metavar="error|warning|info|never",
            help="The least finding for exit status 1.  [default: error]",
            autocompletion=among("error", "warning", "info", "never"),
        ),
    ] = None,
    output_format: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="text|json|sarif|junit|github",
            help="How to print the findings.",
            autocompletion=among("text", "json", "sarif", "junit", "github"),
        ),
    ] = "text",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write them to a file."),
    ] = None,
    parent: Parent = None,
    parent_dir: ParentDirs = None,
    ignore_bitmap: IgnoreBitmap = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Read every sector bitmap, however many there are.")
    ] = False,
    no_guest: Annotated[
        bool, typer.Option("--no-guest", help="Judge the container and the partitions only.")
    ] = False,
    config_file: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Read settings from FILE.")
    ] = None,
    no_config: Annotated[bool, typer.Option("--no-config", help="Read no settings.")] = False,
) -> int:
    """Say what would fail on Azure, and why."""
    config = _config(config_file, no_config)
    output_format = choice("--format", output_format, FORMATS)
    threshold = _threshold(fail_on, config)
    profiles = _profiles(_words(profile), config)
    chosen = _words(select) or config.select
    left_out = (*config.ignore, *_words(ignore))
    if parent is not None and len(images) > 1:
        raise ConfigError("--parent is for one image", hint="use --parent-dir")
    if output is not None:
        _require_no_image(output, images if parent is None else [*images, parent])

    from vhdtool.rules.runner import check, exit_status

    rules = _rules(chosen, left_out)
    reports = []
    for image in images:
        _tell_interrupted(image)
        reports.append(
            check(
                image,
                profiles=profiles,
                select=chosen,
                ignore=left_out,
                parent=parent,
                parent_dirs=parent_dir or config.parent_dir,
                ignore_bitmap=ignore_bitmap,
                thorough=thorough,
                guest=not no_guest,
            )
        )
    color = output is None and wants_color()
    asked = Asked(rules, threshold, profiles=profiles, color=color)
    put_answer(render(reports, output_format, asked), output)
    return exit_status(reports, threshold)


def _config(path: Path | None, no_config: bool) -> Config:
    if no_config:
        return Config()
    return find_config(Path.cwd()) if path is None else load_config(path)


def _words(options: Sequence[str] | None) -> tuple[str, ...]:
    """Split repeated and comma-separated values."""
    words = (word.strip() for option in options or () for word in option.split(","))
    return tuple(word for word in words if word)


def _threshold(word: str | None, config: Config) -> Severity | None:
    from vhdtool.rules.model import Severity

    if word is None and config.fail_on is not None:
        word = choice(f"{config.path}: fail-on", config.fail_on, _FAIL_ON)
    else:
        word = choice("--fail-on", word or "error", _FAIL_ON)
    return None if word == "never" else Severity(word)


def _profiles(names: Sequence[str], config: Config) -> tuple[Profile, ...]:
    from vhdtool.rules.model import Profile

    where = "--profile" if names else f"{config.path}: profile"
    allowed = tuple(profile.value for profile in Profile)
    return tuple(Profile(choice(where, name, allowed)) for name in names or config.profile)


def _rules(chosen: Sequence[str], left_out: Sequence[str]) -> tuple[Rule, ...]:
    from vhdtool.rules.registry import select_rules

    rules = tuple(select_rules(chosen, left_out))
    if not rules:
        raise ConfigError("no rule is left to run", hint="what is ignored covers what is selected")
    return rules


def _require_no_image(output: Path, images: Sequence[Path]) -> None:
    from vhdtool.disk.output import require_other_file

    for image in images:
        require_other_file(image, output, "an image to check")


def _tell_interrupted(image: Path) -> None:
    from vhdtool.disk.journal import journal_path

    if image.name and journal_path(image).exists():
        say(
            f"{image}: a change of it was interrupted; `vhdtool repair` completes it, "
            "`vhdtool repair --undo` takes it back"
        )
