"""Pages of sorted names, and tokens that only the store that issued them accepts."""

from collections.abc import Sequence

import xxhash

from holdfast.errors import Invalid


def issue_token(scope: str, name: str) -> str:
    """The token that continues a list after ``name``; ``scope`` says which list of which store."""
    seal = xxhash.xxh3_64_hexdigest(f"{scope}\0{name}".encode())
    return f"{seal}{name.encode().hex()}"


def name_in_token(scope: str, token: str) -> str:
    """The name in a token, or ``Invalid`` when the token was never issued for this list."""
    try:
        name = bytes.fromhex(token[16:]).decode()
    except ValueError:
        name = ""
    if not name or issue_token(scope, name) != token:
        raise Invalid("the page token was never issued for this list; start again without one")
    return name


def page_of(names: Sequence[str], scope: str, token: str, limit: int) -> tuple[list[str], str]:
    """One page of sorted names, and the token of the next or an empty string."""
    after = name_in_token(scope, token) if token else ""
    rest = [name for name in names if name > after]
    page = rest[:limit]
    return page, issue_token(scope, page[-1]) if len(rest) > limit else ""
