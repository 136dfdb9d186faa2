"""A host's own data path to a volume: it ends before the storage ends the access, and begins after.

Where no data plane is in use, hosts reach volumes by themselves, and nothing is done here.
"""

from holdfast.contract import requests
from holdfast.contract.requests import Request
from holdfast.data.current_plane import data_plane


async def end_data_path(request: Request) -> None:
    """Before a call that takes a volume away from a host: what the host holds back is written
    while it may be, and nothing goes on after.
    """
    plane = data_plane()
    if plane is not None and isinstance(request, requests.Revoke):
        await plane.revoke(request.host, request.volume)


async def begin_data_path(request: Request) -> None:
    """After a call that gave a volume to a host."""
    plane = data_plane()
    if plane is not None and isinstance(request, requests.Grant):
        await plane.granted(request.host, request.volume, request.secret)
