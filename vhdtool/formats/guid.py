"""GUIDs in the two byte orders that disk structures use.

VHD stores an identifier as 16 bytes in writing order. VHDX and GPT store Microsoft's GUID
structure: its first three fields are little-endian.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from construct import Bytes, ExprAdapter

NIL = UUID(int=0)

BigEndianGuid: Any = ExprAdapter(
    Bytes(16), lambda raw, _: UUID(bytes=raw), lambda guid, _: guid.bytes
)
MixedEndianGuid: Any = ExprAdapter(
    Bytes(16), lambda raw, _: UUID(bytes_le=raw), lambda guid, _: guid.bytes_le
)
