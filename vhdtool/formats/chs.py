"""Disk geometry: cylinders, heads and sectors per track, as a VHD footer has them.

Source: Microsoft, "Virtual Hard Disk Image Format Specification" 1.0, appendix "CHS Calculation".
"""

from __future__ import annotations

from dataclasses import dataclass

from vhdtool.units import SECTOR_SIZE

_MAX_CYLINDERS = 65535
_MAX_HEADS = 16
_MAX_SECTORS_PER_TRACK = 255
_MAX_SECTORS = _MAX_CYLINDERS * _MAX_HEADS * _MAX_SECTORS_PER_TRACK
# From this number of sectors on, only 255 sectors per track can describe the disk.
_LARGE_DISK_SECTORS = _MAX_CYLINDERS * _MAX_HEADS * 63


@dataclass(frozen=True, slots=True)
class Geometry:
    """A disk's geometry; it cannot express sizes above about 127.5 GiB."""

    cylinders: int
    heads: int
    sectors_per_track: int

    @property
    def size(self) -> int:
        """Bytes that the geometry can address."""
        return self.cylinders * self.heads * self.sectors_per_track * SECTOR_SIZE

    @property
    def is_maximum(self) -> bool:
        """Whether it is the greatest geometry there is, which says nothing of the disk's size."""
        return self == MAXIMUM


MAXIMUM = Geometry(_MAX_CYLINDERS, _MAX_HEADS, _MAX_SECTORS_PER_TRACK)


def geometry_for(size: int) -> Geometry:
    """Return the geometry that the specification gives a disk of `size` bytes.

    The geometry's own size is at most `size`, except for disks of a few sectors.
    """
    sectors = min(size // SECTOR_SIZE, _MAX_SECTORS)
    if sectors >= _LARGE_DISK_SECTORS:
        return _with_track(sectors, _MAX_HEADS, _MAX_SECTORS_PER_TRACK)
    heads = max(4, -(-(sectors // 17) // 1024))
    if heads <= _MAX_HEADS and sectors // 17 < heads * 1024:
        return _with_track(sectors, heads, 17)
    if sectors // 31 < _MAX_HEADS * 1024:
        return _with_track(sectors, _MAX_HEADS, 31)
    return _with_track(sectors, _MAX_HEADS, 63)


def _with_track(sectors: int, heads: int, sectors_per_track: int) -> Geometry:
    return Geometry(sectors // sectors_per_track // heads, heads, sectors_per_track)
