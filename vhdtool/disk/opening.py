"""Open images in steps: detect, read the structures, judge them, find the parents, map.

Each step keeps what it learnt, so that an image that cannot be opened can still be described.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vhdtool import _native
from vhdtool.disk.chain import MAX_CHAIN, Identity, ParentPolicy, Wanted, find_parent
from vhdtool.disk.detect import Detected, detect
from vhdtool.disk.facts import ImageFormat
from vhdtool.disk.image import Image
from vhdtool.errors import CorruptImage, FormatError, NotAnImage, UnsupportedImage, VhdtoolError
from vhdtool.formats.vhd import DYNAMIC_HEADER_COOKIE, FOOTER_SIZE, VHD_EPOCH
from vhdtool.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from vhdtool.disk.facts import ParentFacts, VhdFacts
    from vhdtool.disk.vhdx import VhdxReading

_ADVICE = {
    ImageFormat.VDI: "convert it first: `qemu-img convert -f vdi -O raw IMAGE OUT.raw`",
    ImageFormat.GZIP: "`vhdtool convert` reads it as it is; or unpack it with gunzip",
    ImageFormat.XZ: "`vhdtool convert` reads it as it is; or unpack it with unxz",
    ImageFormat.ZSTD: "`vhdtool convert` reads it as it is; or unpack it with unzstd",
    ImageFormat.BZIP2: "unpack it first with bunzip2",
    ImageFormat.ZIP: "unpack it first with unzip",
    ImageFormat.ISO: "it is a medium to install from; install it to a disk, and use that disk",
}
_QCOW2_HINT = "convert it first: `qemu-img convert -f qcow2 -O raw IMAGE OUT.raw`"


@dataclass(slots=True)
class Layer:
    """One file of a chain, as far as it could be read; `error` says why it cannot be opened."""

    path: Path
    file: _native.File
    detected: Detected
    vhd: VhdFacts | None = None
    vhdx: VhdxReading | None = None
    parent: ParentFacts | None = None
    error: VhdtoolError | OSError | None = None
    raw: bool = False  # to be read as it is, whatever it looks like

    def fail(self, error: VhdtoolError | OSError) -> None:
        """Keep the first error, and say in which file it is."""
        if isinstance(error, FormatError) and error.path is None:
            error.path = self.path
        if self.detected.format is ImageFormat.QCOW2 and isinstance(error, UnsupportedImage):
            error.hint = error.hint or _QCOW2_HINT
        self.error = self.error or error


@dataclass(frozen=True, slots=True)
class Opening:
    """The outcome of opening: the image or the error, and what was read either way."""

    layer: Layer
    result: Image | VhdtoolError | OSError


def advice_for(image_format: ImageFormat) -> str | None:
    """Say what to do with a file that is not read as a disk, None for what is."""
    return _ADVICE.get(image_format)


def try_open(
    path: str | PathLike[str],
    *,
    parent: str | PathLike[str] | None = None,
    parent_dirs: Iterable[str | PathLike[str]] = (),
    ignore_bitmap: bool = False,
    strict: bool = False,
) -> Opening:
    """Open an image as far as it goes; only a file that cannot be read at all is an exception.

    With `strict` blocks that share bytes with others or with structures are an error.
    """
    policy = ParentPolicy(
        None if parent is None else Path(parent), tuple(Path(folder) for folder in parent_dirs)
    )
    layers = [_read_layer(Path(path))]
    while (following := _next_layer(layers, policy)) is not None:
        layers.append(following)
        policy = replace(policy, file=None)
    if strict:
        for layer in layers:
            _require_sound_table(layer)
    return Opening(layers[0], _build(layers, ignore_bitmap))


def _read_layer(path: Path, *, raw: bool = False) -> Layer:
    """Read and judge the structures of one file.

    Raises:
        OSError: The file cannot be opened or read.
    """
    file = _native.File(path)
    detected = Detected(ImageFormat.RAW) if raw else detect(file)
    layer = Layer(path, file, detected, raw=raw)
    try:
        if detected.footers is not None:
            from vhdtool.disk.vhd import check_vhd, read_vhd

            layer.vhd = read_vhd(file, detected.footers)
            check_vhd(file, layer.vhd)
        elif detected.format is ImageFormat.VHDX:
            from vhdtool.disk.vhdx import read_vhdx

            layer.vhdx = read_vhdx(file)
            if layer.vhdx.error is not None:
                layer.fail(layer.vhdx.error)
        elif detected.format in _ADVICE:
            raise UnsupportedImage(
                f"the file is {detected.format}, which is not read as a disk",
                hint=_ADVICE[detected.format],
            )
        elif file.size == 0:
            raise NotAnImage("the file is empty", hint="get it again from its source")
        elif detected.format is ImageFormat.RAW and not raw:
            require_no_dynamic_header(file)
    except FormatError as error:
        layer.fail(error)
    return layer


def require_no_dynamic_header(file: _native.File) -> None:
    """Refuse what would be taken for a raw disk: a dynamic VHD that lost both its footers.

    Raises:
        CorruptImage: The file is one.
    """
    cookie = file.read_at(FOOTER_SIZE, len(DYNAMIC_HEADER_COOKIE))
    if cookie == DYNAMIC_HEADER_COOKIE:
        raise CorruptImage(
            "dynamic VHD",
            actual="both footers are lost",
            expected="one sound copy",
            hint="get the image again from its source",
        )


def _wanted(layer: Layer) -> Wanted | None:
    if layer.vhd is not None:
        from vhdtool.disk import vhd

        return vhd.wanted_parent(layer.file, layer.vhd)
    if layer.vhdx is not None:
        from vhdtool.disk import vhdx

        return vhdx.wanted_parent(layer.vhdx)
    if layer.detected.format is ImageFormat.QCOW2:
        backing = _native.qcow2_info(layer.path).backing_file
        if backing is not None:
            return Wanted((), None, (("backing file", backing),))
    return None


def _next_layer(layers: list[Layer], policy: ParentPolicy) -> Layer | None:
    """Find and read the parent of the last layer; None at the end of the chain or on an error."""
    layer = layers[-1]
    if layer.error is not None:
        return None
    try:
        wanted = _wanted(layer)
        if wanted is None:
            return None
        layer.parent, error = find_parent(layer.path, wanted, policy, _identify)
        if error is not None or layer.parent.path is None:
            layer.error = error
            return None
        following = _read_layer(layer.parent.path, raw=_backing_is_raw(layer))
    except (VhdtoolError, OSError) as error:
        layer.fail(error)
        return None
    if following.file.identity in [known.file.identity for known in layers]:
        name = printable(str(following.path))
        layer.fail(CorruptImage("chain of parents", actual=f"{name} is an ancestor of itself"))
        return None
    if len(layers) >= MAX_CHAIN:
        expected = f"at most {MAX_CHAIN}"
        layer.fail(UnsupportedImage("chain of parents", actual="it goes on", expected=expected))
        return None
    return following


def _backing_is_raw(layer: Layer) -> bool:
    return (
        layer.detected.format is ImageFormat.QCOW2
        and _native.qcow2_info(layer.path).backing_format == "raw"
    )


def _identify(path: Path) -> Identity:
    """Read what a file is known by as a parent."""
    file = _native.File(path)
    detected = detect(file)
    timestamp = int(path.stat().st_mtime) - VHD_EPOCH
    if detected.footers is not None:
        return Identity(detected.footers.active.value.unique_id, timestamp)
    if detected.format is ImageFormat.VHDX:
        from vhdtool.disk.vhdx import data_write_guid

        return Identity(data_write_guid(file), timestamp)
    return Identity(None, timestamp)


def _require_sound_table(layer: Layer) -> None:
    if layer.error is not None:
        return
    from vhdtool.disk import tables

    try:
        if layer.vhd is not None:
            tables.require_sound_vhd(layer.file, layer.vhd)
        elif layer.vhdx is not None:
            tables.require_sound_vhdx(layer.vhdx)
    except (VhdtoolError, OSError) as error:
        layer.fail(error)


def _build(layers: list[Layer], ignore_bitmap: bool) -> Image | VhdtoolError | OSError:
    """Map the layers, the base first."""
    image: Image | None = None
    for layer in reversed(layers):
        if layer.error is None:
            try:
                image = _map(layer, image, ignore_bitmap)
            except (VhdtoolError, OSError) as error:
                layer.fail(error)
        if layer.error is not None:
            return layer.error
    assert image is not None
    return image


def _map(layer: Layer, parent: Image | None, ignore_bitmap: bool) -> Image:
    below = None if parent is None else parent.native
    vhd_facts = vhdx_facts = None
    if layer.vhd is not None:
        from vhdtool.disk.vhd import open_vhd

        native = open_vhd(layer.file, layer.vhd, ignore_bitmap=ignore_bitmap, parent=below)
        vhd_facts = replace(layer.vhd, parent=layer.parent)
    elif layer.vhdx is not None:
        from vhdtool.disk.vhdx import open_vhdx

        native = open_vhdx(layer.vhdx, below)
        vhdx_facts = replace(layer.vhdx.facts(), parent=layer.parent)
    elif layer.detected.format is ImageFormat.QCOW2:
        native = _native.Disk.qcow2(layer.path, below)
    elif layer.detected.format is ImageFormat.VMDK:
        from vhdtool.disk.vmdk import open_vmdk

        native = open_vmdk(layer.path)
    else:
        native = _native.Disk.flat(layer.file, 0, layer.file.size)
    return Image(
        layer.path,
        layer.detected.format,
        native,
        vhd=vhd_facts,
        vhdx=vhdx_facts,
        parent=parent,
    )
