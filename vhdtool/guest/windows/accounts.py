"""Local accounts: names, numbers and flags of SAM. Hashes are never read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vhdtool.guest.registry import Registry

USERS = r"SAM\Domains\Account\Users"
ADMINISTRATOR, GUEST, DEFAULT_ACCOUNT, APPLICATION_GUARD = 500, 501, 503, 504
BUILT_IN = frozenset((ADMINISTRATOR, GUEST, DEFAULT_ACCOUNT, APPLICATION_GUARD))
# Of the fixed part of an account, value F: the account control bits, as [MS-SAMR] names them.
_CONTROL = slice(0x38, 0x3A)
_DISABLED, _NO_PASSWORD_NEEDED = 0x0001, 0x0004


@dataclass(frozen=True, slots=True)
class Account:
    """A local account.

    Attributes:
        name: As it is shown.
        rid: Its number: 500 is the built-in Administrator, whatever its name, own accounts have
            1000 and more.
        is_enabled: None where the flags are missing.
        needs_password: Whether the account may not be without a password; None as above.
        key: The path of its key in SAM.
    """

    name: str
    rid: int
    is_enabled: bool | None
    needs_password: bool | None
    key: str

    @property
    def is_built_in(self) -> bool:
        """Whether every Windows has it."""
        return self.rid in BUILT_IN


def read_accounts(sam: Registry | None) -> tuple[Account, ...] | None:
    """Return the accounts by number; None where there is no SAM."""
    names = None if sam is None else sam.key(rf"{USERS}\Names")
    if sam is None or names is None:
        return None
    found = []
    for key in names.subkeys():
        default = key.value("")
        if default is None:
            continue
        rid = default.kind  # the number is stored as the type of the default value
        path = rf"{USERS}\{rid:08X}"
        fixed = sam.value(path, "F")
        data = b"" if fixed is None else fixed.data[_CONTROL]
        bits = int.from_bytes(data, "little") if len(data) == 2 else None
        enabled = None if bits is None else not bits & _DISABLED
        needs = None if bits is None else not bits & _NO_PASSWORD_NEEDED
        found.append(Account(key.name, rid, enabled, needs, path))
    return tuple(sorted(found, key=lambda account: account.rid))
