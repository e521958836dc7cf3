"""Rules of the catalogue that are not here, and why."""

from __future__ import annotations


def _needs(what: str) -> str:
    return f"needs {what}, which this version does not read"


NOT_IMPLEMENTED = {
    "VHD039": "a sparse file uploads as well as any other, and vhdtool itself writes sparse files:"
    " every good image would have the finding",
    "DSK105": _needs("the loaders in the EFI system partition"),
    "DSK106": _needs("the loaders and their settings in the EFI system partition"),
    "DSK107": "a disk that does not boot in the wanted generation is reported by DSK101, DSK102 or"
    " DSK103, which say what it lacks",
    "DSK117": _needs("/etc/fstab"),
    "DSK118": _needs("/etc/fstab"),
    "DSK120": _needs("the volume groups' names in the metadata of LVM"),
    "DSK126": _needs("the flags in NTFS's $Volume"),
    "DSK127": _needs("NTFS's $LogFile"),
    "DSK128": _needs("hiberfil.sys"),
    "DSK129": _needs("the state in the superblock of ext2, ext3 or ext4"),
    "DSK130": _needs("the log of XFS"),
    "DSK131": _needs("the free space of the root file system"),
    "DSK132": _needs("NTFS's $Bitmap"),
    "DSK138": _needs("the files of each system on the disk"),
    "DSK141": _needs("the boot files in the EFI system partition"),
    "DSK142": "the partition numbers that Microsoft's images use differ from one distribution to"
    " another, which partition tables do not name, and nothing depends on them",
    "DSK143": _needs("/etc/fstab"),
    "DSK144": "this version reads no file systems, so every disk would have the finding",
}
