"""Driver ``iscsi``: volumes as files on a storage host, one target per grant, served by tgt.

The provider is imported when it is asked for: the agent on the storage host runs other modules of
this folder, and need not have what the provider needs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast_drivers.iscsi.provider import IscsiProvider

__all__ = ["IscsiProvider"]


def __getattr__(name: str) -> object:
    if name != "IscsiProvider":
        raise AttributeError(f"module {__name__} has no attribute {name!r}")
    from holdfast_drivers.iscsi.provider import IscsiProvider  # noqa: PLC0415 - see above

    return IscsiProvider
