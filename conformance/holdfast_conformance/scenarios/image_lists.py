"""Stories of lists of objects: prefixes that look like patterns, delimiters, tokens used later."""

from collections.abc import Iterator

from holdfast.contract.requests import DeleteObject, ListObjects
from holdfast_conformance.list_steps import NextPage, TakePage
from holdfast_conformance.plan import (
    Reopen,
    Step,
    WalkObjects,
)
from holdfast_conformance.scenarios.image_script import Script

PATTERNS = (
    ("a%", "a_"),
    ("a*", "a?", "a[b]"),
    ("a.", "a+", "a|b", "^a", "a$", "(a"),
    ("a\\", "a'", 'a"'),
)
"""Keys and prefixes that a careless backend takes for a pattern, as in SQL, of a shell or an
expression, or for the end of a text.
"""
DELIMITERS = ("-", ".", "%", "--", "/-", "b", "\u00e9", "*", "|", " ", "/", "\\")
"""Any text of 1 to 128 bytes folds keys."""
_PAGE = "page"


def literal_prefixes(script: Script) -> Iterator[Step]:
    """A prefix that looks like a pattern is one of the keys that begin with it."""
    chosen = [*PATTERNS[0], *(script.choices.pick(kind) for kind in PATTERNS[1:])]
    patterns = script.choices.shuffled(chosen)
    for key in ("a", "ab", "abc", "A", *patterns):
        yield script.put(key, 10)
    yield script.put(f"{patterns[0]}/x", 10)
    for prefix in ("a", "ab", *patterns):
        yield WalkObjects(prefix=prefix, delimiter="", limit=script.page(2))
    if script.declared.list.delimiter:
        yield WalkObjects(prefix=patterns[0], delimiter="/", limit=1)
    yield WalkObjects(prefix=f"{patterns[1]}x", delimiter="", limit=1)


def delimiters(script: Script) -> Iterator[Step]:
    """Keys are folded at any text, of one character or several, with pages of one and more."""
    if not script.declared.list.delimiter:
        return
    first, second, third = script.choices.shuffled(DELIMITERS)[:3]
    for end in ("1", f"1{first}2", f"1{first}3", f"1{second}{first}", f"1{second}4", f"{first}5"):
        yield script.put(f"k{end}", 10)
    for delimiter in (first, second):
        for prefix, limit in (("", 1), ("k", 1), ("k1", 2), (f"k1{delimiter}", 1)):
            yield WalkObjects(prefix=prefix, delimiter=delimiter, limit=script.page(limit))
    yield WalkObjects(prefix="", delimiter=f"{first}{third}", limit=script.page(3))


def page_sizes(script: Script) -> Iterator[Step]:
    """Keys that begin alike, folded and not, with pages of every size."""
    keys = ("a", "a/b", "a/c", "a0", "b", *(f"{'c' * 97}{end}" for end in "123"))
    for key in keys:
        yield script.put(key, 10)
    delimiter = "/" if script.declared.list.delimiter else ""
    for limit in (1, 2, 3, 5, len(keys), len(keys) + 1):
        folded = delimiter if limit < len(keys) else ""
        yield WalkObjects(prefix="", delimiter=folded, limit=script.page(limit))
    yield WalkObjects(prefix="ccc", delimiter="", limit=1)


def object_tokens(script: Script) -> Iterator[Step]:
    """A token of objects goes on where its page ended, whatever became of the list."""
    page = ListObjects(prefix="p", limit=1)
    for key in ("p", "p-2", "p/3", "p/4", "q"):
        yield script.put(key, 10)
    yield TakePage(page=_PAGE, of=page)
    yield NextPage(page=_PAGE, of=page)
    yield NextPage(page=_PAGE, of=ListObjects(prefix="p", limit=script.page()))
    yield NextPage(page=_PAGE, of=ListObjects(prefix="q", limit=1))
    yield NextPage(page=_PAGE, of=ListObjects(limit=1))
    yield DeleteObject(key="p")
    yield NextPage(page=_PAGE, of=page)
    yield Reopen()
    yield script.put("p+1", 10)
    yield NextPage(page=_PAGE, of=page)
    yield DeleteObject(key="p-2")
    yield NextPage(page=_PAGE, of=ListObjects(prefix="p", limit=script.page(2)))
    if script.declared.list.delimiter:
        folded = ListObjects(prefix="p", delimiter="/", limit=script.page(2))
        yield NextPage(page=_PAGE, of=folded)
        yield TakePage(page=_PAGE, of=folded)
        yield NextPage(page=_PAGE, of=folded)


STORIES = (literal_prefixes, delimiters, page_sizes, object_tokens)
