"""From what the server and the network say to what Holdfast says."""

import errno
import socket
from typing import Final

from holdfast.contract.errors import Busy, Denied, DriverError, Invalid, Unavailable, Unknown
from holdfast_drivers.local.errors import driver_error
from holdfast_drivers.nfs.libnfs import Address

LOST: Final = frozenset({errno.ETIMEDOUT, errno.ECONNRESET, errno.EPIPE})
"""After these a connection is of no use any more."""

_NOT_ALLOWED: Final = frozenset({errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR})
_MOVED: Final = frozenset({errno.ENOENT, errno.ESTALE})


def mount_error(error: OSError, address: Address) -> DriverError:
    """Why an export cannot be reached, and which setting to look at. Nothing was done."""
    where = f"NFS export {address.export} of {address.server}"
    if isinstance(error, socket.gaierror):
        return Invalid(f"{where}: setting `server` is not known: {error.strerror}")
    if error.errno in _NOT_ALLOWED:
        return Denied(
            f"{where}: the server does not let this client mount it; setting `export` names none "
            "of its exports, or this host is not among the export's clients"
        )
    if error.errno == errno.EINVAL:
        return Invalid(f"{where}: setting `export` cannot be a path on a server")
    return Unavailable(
        f"{where} cannot be reached: {error.strerror or error}; look at setting `server`, and "
        "at its ports 111 and 2049"
    )


def call_error(error: OSError, address: Address, key: str, *, changing: bool) -> DriverError:
    """What a failed call means for its caller.

    Args:
        error: what libnfs reported.
        address: the export.
        key: the object the call was about.
        changing: whether anything was sent that may have changed something.
    """
    where = f"NFS server {address.server}"
    if error.errno == errno.ETIMEDOUT:
        return Unknown(f"{where} did not answer in time", object=key)
    if error.errno in LOST:
        if changing:
            return Unknown(f"the connection to {where} broke before it answered", object=key)
        return Unavailable(f"the connection to {where} broke; nothing was done", object=key)
    if error.errno in _MOVED:
        return Busy(f"{error.filename}: another call changed it meanwhile; try again", object=key)
    if error.errno in {errno.EACCES, errno.EPERM}:
        return Denied(
            f"{where} lets uid and gid of this store not touch {error.filename}; look at settings "
            "`uid` and `gid`, and at the export's access",
            object=key,
        )
    return driver_error(error, key)
