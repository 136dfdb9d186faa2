"""Driver ``local``: volumes as sparse raw files, and objects as files, in a folder of this host.

The provider is imported when it is asked for: storage hosts run the modules that work on files, and
need nothing that a testbed or an orchestrator does.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast_drivers.local.provider import LocalProvider

__all__ = ["LocalProvider"]


def __getattr__(name: str) -> object:
    if name != "LocalProvider":
        raise AttributeError(f"module {__name__} has no attribute {name!r}")
    from holdfast_drivers.local.provider import LocalProvider  # noqa: PLC0415 - see above

    return LocalProvider
