"""What a refused attachment means: QEMU's words, sorted into Holdfast's errors.

QEMU reports the libraries' messages as text and nothing else, so text is what is read here: of
libiscsi 1.19, libnfs 4.0 and QEMU's own drivers.
"""

import re
from typing import Final

from holdfast.contract.errors import Denied, DriverError, Unavailable

_NOT_ALLOWED: Final = re.compile(
    r"""
      login\ failed | failed\ to\ log\ in | failed\ to\ login | authentication | initiator\ error
    | target\ not\ found | not\ found\(515\) | \(51[35]\)
    | logical_unit_not_supported | lun\ not\ supported | no\ such\ lun
    | mnt3err_acces | mnt3err_noent | mnt3err_notdir | mnt3err_perm
    | nfs3?err_acces | nfs3?err_stale | nfs3?err_noent | nfs3?err_perm
    | nfs3?err_rofs | nfs3?err_badhandle
    | permission\ denied | operation\ not\ permitted | access\ denied
    | no\ such\ file\ or\ directory | read-only\ file\ system | stale\ file\ handle
    | cannot\ open\ a\ read-only | is\ read-?only
    """,
    re.IGNORECASE | re.VERBOSE,
)
_AWAY: Final = re.compile(
    r"""
      connection\ refused | no\ route | unreachable | timed\ out | timeout
    | connection\ reset | broken\ pipe | host\ is\ down
    """,
    re.IGNORECASE | re.VERBOSE,
)


def refusal(output: str, *, host: str, volume: str) -> DriverError:
    """The error for what QEMU said when it was to open a volume; nothing was done.

    Args:
        output: QEMU's message.
        host: the host that wanted to use the volume.
        volume: the volume's key, for people.
    """
    text = " ".join(output.split())
    who = f"host {host} cannot use the volume: {text}" if host else text
    if _NOT_ALLOWED.search(output) and not _AWAY.search(output):
        return Denied(who, object=volume)
    return Unavailable(who, object=volume)
