"""Descriptors of where bytes are; ``holdfast.data`` does the I/O, a driver never hands out a
stream.
"""

import msgspec

from holdfast.contract.capabilities import Count


class FileHandle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="file"):
    """A regular file on this host. ``path`` disappears when the grant is revoked.

    Between ``below``, a folder that is part of ``path``, and the file nothing may be a symbolic
    link; without it the path is looked up as any other.
    """

    path: str
    size_bytes: Count
    read_only: bool = False
    below: str = ""


class BlockNodeHandle(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="block_node"
):
    """A QEMU blockdev description, as JSON text, without the node's name.

    ``host`` is the host it was opened for, whose own storage daemon must use it. Where the
    description refers to a ``password-secret``, that secret is the one the host was granted
    ``volume`` with: a handle never holds a secret itself.
    """

    blockdev: str
    size_bytes: Count
    read_only: bool = False
    host: str = ""
    volume: str = ""


class HttpHandle(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="http"):
    """An object that can be fetched by ranges over HTTP.

    ``ca_file`` holds the certificates of those who may vouch for the server, where the host's own
    do not.
    """

    url: str
    size_bytes: Count
    headers: tuple[tuple[str, str], ...] = ()
    ca_file: str = ""


class NativeHandle(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="native"
):
    """A reference only the named provider can use, for copies inside one backend."""

    provider: str
    reference: str
    size_bytes: Count


class ExtentHandle(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="extent"
):
    """Bytes in this process's memory or in a simulation: an entry of a registered extent space."""

    space: str
    token: str
    size_bytes: Count
    read_only: bool = False


Handle = FileHandle | BlockNodeHandle | HttpHandle | NativeHandle | ExtentHandle
