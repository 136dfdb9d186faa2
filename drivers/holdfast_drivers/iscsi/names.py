"""The names that iSCSI knows hosts and grants by."""

import hashlib
from typing import Final

AUTHORITY: Final = "iqn.2026-11.org.holdfast"
_HOST_DIGEST_BYTES: Final = 8
_PLACE_DIGEST_BYTES: Final = 8


def initiator_name(host: str) -> str:
    """The initiator name under which a host logs in; it follows from the host's key alone."""
    digest = hashlib.blake2b(host.encode(), digest_size=_HOST_DIGEST_BYTES).hexdigest()
    return f"{AUTHORITY}:host.{digest}"


def target_name(volume_id: str, grant_id: str) -> str:
    """The target of one grant; neither id is ever used again, and so neither is the name."""
    return f"{AUTHORITY}:{volume_id}.{grant_id}"


def marker_name(folder: str) -> str:
    """The target that tells whether tgt knows the grants of a store: nobody may log in to it."""
    digest = hashlib.blake2b(folder.encode(), digest_size=_PLACE_DIGEST_BYTES).hexdigest()
    return f"{AUTHORITY}:store.{digest}"
