"""Rules of the catalogue that are not here, and why."""

from __future__ import annotations

_GUEST = "needs the guest's file systems, which this version does not read"

NOT_IMPLEMENTED = {
    "VHD039": "a sparse file uploads as well as any other, and vhdtool itself writes sparse files:"
    " it would be said of every good image",
    "DSK105": _GUEST,
    "DSK106": _GUEST,
    "DSK117": _GUEST,
    "DSK118": _GUEST,
    "DSK120": _GUEST,
    "DSK126": _GUEST,
    "DSK127": _GUEST,
    "DSK128": _GUEST,
    "DSK129": _GUEST,
    "DSK130": _GUEST,
    "DSK131": _GUEST,
    "DSK132": _GUEST,
    "DSK138": _GUEST,
    "DSK140": _GUEST,
    "DSK141": _GUEST,
    "DSK143": _GUEST,
    "DSK144": _GUEST,
}
