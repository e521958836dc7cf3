"""Rules of the catalogue that are not here, and why."""

from __future__ import annotations

_BSD = "UFS, which the BSDs have their files on, is recognised and not read"


def _same(code: str) -> str:
    return f"{code} reports it for every profile, with the same severity and threshold"


NOT_IMPLEMENTED = {
    "VHD039": "a sparse file uploads as well as any other, and vhdtool itself writes sparse files:"
    " every good image would have the finding",
    "DSK107": "a disk that does not boot in the wanted generation is reported by DSK101, DSK102 or"
    " DSK103, which say what it lacks",
    "DSK142": "the partition numbers that Microsoft's images use differ from one distribution to"
    " another, which partition tables do not name, and nothing depends on them",
    "GEN209": "it is about a resource in Azure, not about a disk",
    "GEN210": "no profile says that a confidential machine is wanted, and what it forbids is"
    " decided by Azure's list of images",
    "LNX390": _BSD,
    "LNX391": _BSD,
    "LGN329": _BSD,
    "LGN330": _BSD,
    "MKT601": _same("LNX359"),
    "MKT602": "LNX316, LNX318 and LNX319 report each parameter for every profile, with the same"
    " severity",
    "MKT604": _same("DSK116"),
    "MKT605": "DSK118 is a rule of the marketplace profile already",
    "MKT609": _same("GEN205"),
    "MKT613": "VHD001 to VHD008 report it for every profile, with the same severity",
    "MKT614": "DSK133 and DSK134 are rules of the marketplace profile already",
    "MKT615": "DSK114 and DSK115 report it for every profile",
    "MKT617": "LGN315, LGN318 and LGN319 are rules of the marketplace profile already; passwords of"
    " appliances cannot be told from hashes",
    "MKT624": "what a plan says of its image is not on the disk",
    "MKT625": "it is about several disks and the plan that lists them",
    "MKT627": _same("DSK119"),
    "MKT628": "GEN218, LGN327, LNX337 and LNX338 report each part, with the severity that it has",
    "MKT629": "GEN216, LGN321 and LGN335 are rules of the marketplace profile already",
    "MKT630": "LNX393 reports what is in the way; that there is a firewall at all is no fault",
    "MKT633": "LNX345 and WIN419 report it for every profile, with the same severity",
    "MKT621": "WIN419 reports it for every profile, with the same severity; whether a product needs"
    " an account called Administrator is not on the disk",
    "MKT631": _same("DSK123"),
    "MKT632": _same("WIN440"),
    "MKT635": "ROL520 to ROL523 are rules of the marketplace profile already; that a product needs"
    " IPv6 is not on the disk",
    "MKT636": "nothing of it is on the disk: it is tested on a running machine",
    "MKT637": "DSK102 and DSK105 report it for every image that is meant for generation 2",
    "MKT638": "it is about a URL, not about a disk",
    "MKT639": "it is about an upload, not about a disk",
    "WIN456": "whether a driver is signed takes the catalogues of hashes beside it, which this"
    " version does not read: nearly all of Windows' own drivers are signed in no other way",
}
