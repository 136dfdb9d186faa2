"""The pages of a bucket's list, as the gateway reads them."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from holdfast_drivers.swift.gateway.server_image.swift_on_s3.s3 import Bucket, S3Error
from holdfast_drivers.swift.gateway.server_image.swift_on_s3.signing import Credentials


class Pages(Bucket):
    """A server whose list comes in these pages, each with a token for the next one."""

    def __init__(self, *pages: tuple[str, ...]) -> None:
        super().__init__("http://127.0.0.1:1", "pages", Credentials("who", "what"))
        self.pages = pages
        self.stuck = False

    def ask(self, method: str, key: str, **details: Any) -> tuple[Mapping[str, str], bytes]:
        del method, key
        query: Mapping[str, str] = details.get("query") or {}
        at = 0 if self.stuck else int(query.get("continuation-token", "0"))
        more = at + 1 < len(self.pages)
        entries = "".join(
            f"<Contents><Key>{quote(name)}</Key><Size>1</Size><ETag>t</ETag>"
            "<LastModified>2020-01-01T00:00:00Z</LastModified></Contents>"
            for name in self.pages[at]
        )
        return {}, (
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"{entries}<IsTruncated>{str(more).lower()}</IsTruncated>"
            f"<NextContinuationToken>{at + 1}</NextContinuationToken></ListBucketResult>"
        ).encode()


def test_a_page_with_nothing_in_it_is_not_the_end_of_a_list() -> None:
    """A container whose first page is empty would be taken for empty, and removed."""
    page = Pages((), (), ("o/1", "o/2"), ("o/3",)).page("o/")
    assert [entry.key for entry in page.entries] == ["o/1", "o/2"]
    assert page.more


def test_a_list_may_end_with_an_empty_page() -> None:
    page = Pages((), ()).page("o/")
    assert not page.entries
    assert not page.more


def test_a_list_that_goes_nowhere_is_a_failure() -> None:
    """It is neither read for ever nor taken for empty."""
    pages = Pages((), ("o/1",))
    pages.stuck = True
    with pytest.raises(S3Error):
        pages.page("o/")
