"""Steps that go through lists page by page, with tokens that are used later and elsewhere."""

from holdfast.contract.requests import ListObjects, ListSnapshots, ListVolumes
from holdfast_conformance.harness_step import HarnessStep


class WalkSnapshots(HarnessStep, frozen=True, kw_only=True, tag="walk_snapshots"):
    """List all snapshots, or those of one volume, with this page size."""

    volume: str = ""
    limit: int


PagedList = ListVolumes | ListSnapshots | ListObjects


class TakePage(HarnessStep, frozen=True, kw_only=True, tag="take_page"):
    """The first page of a list; its token is kept in the worker under the name ``page``."""

    page: str
    of: PagedList


class NextPage(HarnessStep, frozen=True, kw_only=True, tag="next_page"):
    """One page of a list with the token that was kept, of this list or of another one."""

    page: str
    of: PagedList
