"""What the commands that look into guests have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vhdtool.cli.guard import say
from vhdtool.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vhdtool.guest.guest import Guest
    from vhdtool.guest.tree import Tree
    from vhdtool.guest.worker import Limits, Send

ImageWord = Annotated[
    str,
    typer.Argument(
        metavar="IMAGE[:VOLUME]", help="The image; after a colon a partition or a logical volume."
    ),
]
VolumeName = Annotated[
    str | None,
    typer.Option("--fs", metavar="NAME", help="The volume: 2, 'partition 2', rootvg/rootlv, disk."),
]


def split_image(word: str, volume: str | None) -> tuple[Path, str | None]:
    """Split `disk.vhd:2`; a file that has the whole name is taken for that.

    Raises:
        ConfigError: The volume is named twice.
    """
    path, colon, named = word.rpartition(":")
    if not colon or not named or Path(word).exists() or not Path(path).exists():
        return Path(word), volume
    if volume is not None:
        raise ConfigError(f"the volume is named twice: {named!r} and --fs {volume!r}")
    return Path(path), named


def look(
    word: str,
    volume: str | None,
    action: Callable[[Tree, Send], None],
    *,
    parent: Path | None,
    parent_dir: list[Path] | None,
    ignore_bitmap: bool,
    limits: Limits | None = None,
) -> Iterator[Any]:
    """Open an image, run an action over its files, yield what it sends; say what is not read."""
    from vhdtool.disk.image import open_image
    from vhdtool.guest.browse import browse

    path, volume = split_image(word, volume)
    with open_image(
        path, parent=parent, parent_dirs=parent_dir or (), ignore_bitmap=ignore_bitmap
    ) as image:
        yield from _without_gaps(browse(image, volume, action, limits))


def look_at_guest(
    path: str | Path,
    action: Callable[[Guest, Send], None],
    *,
    parent: Path | None,
    parent_dir: list[Path] | None,
    ignore_bitmap: bool,
) -> Iterator[Any]:
    """Open an image, run an action over its guest, yield what it sends; say what is not read."""
    from vhdtool.disk.image import open_image
    from vhdtool.guest.browse import browse_guest

    with open_image(
        path, parent=parent, parent_dirs=parent_dir or (), ignore_bitmap=ignore_bitmap
    ) as image:
        yield from _without_gaps(browse_guest(image, action))


def _without_gaps(answers: Iterator[Any]) -> Iterator[Any]:
    for answer in answers:
        if isinstance(answer, dict) and list(answer) == ["gaps"]:
            for gap in answer["gaps"]:
                say(gap)
        else:
            yield answer
