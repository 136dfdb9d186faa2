"""Names by class: what a backend can mix up, lose or obey, and what it can do that with.

A class draws a group of one to three names. Those of one group look like each other to a backend
that is careless in the way of the class, so that it takes one for another; the first of a group is
the one to delete while the others stay.
"""

import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

from holdfast.contract.requests import KEY_MAX_BYTES
from holdfast_conformance.scenarios.choices import Choices

Group = tuple[str, ...]
NameClass = Callable[[Choices], Group]

_STEMS = ("vol", "Disk", "img-7", "a", "db_1", "x.0", "R", "9")
_PUNCTUATION: Final = "+&<>#?=;%'\"\\|*[]{}~^$!@,:()`"
_JOINING: Final = str.maketrans("|,", "!!")
"""What inventories put between names of volumes and hosts."""
_CONTROL: Final = "".join(map(chr, (*range(1, 32), 127, 128, 133, 159, 0x2028, 0x2029)))


def _stem(choices: Choices) -> str:
    return f"{choices.pick(_STEMS)}{choices.below(90) + 10}"


def case_pairs(choices: Choices) -> Group:
    """Names that differ in case only."""
    stem = _stem(choices)
    pair = (f"{stem}-Name", f"{stem}-name")
    others = ((f"{stem}-NAME",), (f"{stem}-nAme",), ())
    return (*(pair if choices.below(2) else pair[::-1]), *choices.pick(others))


def normal_forms(choices: Choices) -> Group:
    """Names that are one in a normal form of Unicode."""
    stem = _stem(choices)
    composed = choices.pick(("\u00e9", "\u00c5", "\u00f1", "\uac01", "\u1ec7"))
    pair = (f"{stem}{composed}", f"{stem}{unicodedata.normalize('NFD', composed)}")
    others = ((f"{stem}\u212b",), (f"{stem}\ufb01",), (f"{stem}\uff21\u00b2",), ())
    return (*(pair if choices.below(2) else pair[::-1]), *choices.pick(others))


def escapes(choices: Choices) -> Group:
    """Names that are one when they are decoded once more, of which one has every kind of code."""
    stem = _stem(choices)
    if choices.below(2):
        return f"{stem}%2F%25%41%20%00x", f"{stem}/%A x"
    pairs = (
        (f"{stem}%2Fx", f"{stem}/x"),
        (f"{stem}%252Fx", f"{stem}%2Fx", f"{stem}%2fx"),
        (f"{stem}%00", stem),
        (f"{stem}%25x", f"{stem}%x"),
        (f"{stem}%20x", f"{stem} x", f"{stem}+x"),
        (f"%41{stem}", f"A{stem}"),
        (f"{stem}&amp;x", f"{stem}&x"),
        (f"{stem}\\x41", f"{stem}A", f"{stem}%zz"),
    )
    return choices.pick(pairs)


def blanks_for_plus(choices: Choices) -> Group:
    """Names that are one in a form, where a plus stands for a blank."""
    stem = _stem(choices)
    pair = (f"{stem}+x", f"{stem} x")
    return pair if choices.below(2) else pair[::-1]


def ends(choices: Choices) -> Group:
    """Names that differ in what some trim from the right."""
    stem = _stem(choices)
    end = choices.pick(("  ", ". ", "..", "\t", "\n", "\r\n", "\u00a0", "/", "-", "\x7f"))
    return f"{stem}{end}", stem, f"{stem} ", f"{stem}."


def beginnings(choices: Choices) -> Group:
    """Names that differ in what some trim from the left."""
    stem = _stem(choices)
    beginning = choices.pick((" ", ".", "/", "-", "--", "~", "./", "\ufeff", "\t", "_"))
    return f"{beginning}{stem}", stem


def control_characters(choices: Choices) -> Group:
    """Names with characters that nothing shows: all of them, one of them, none."""
    stem = _stem(choices)
    one = choices.pick(_CONTROL)
    return f"{stem}{_CONTROL}z", f"{stem}{one}z", f"{stem}z"


def punctuation(choices: Choices) -> Group:
    """Names with what means something to a shell, an address, a page or a query."""
    stem = _stem(choices)
    mark = choices.pick(_PUNCTUATION)
    return f"{stem}{mark}z", f"{stem}_z", f"{stem}{_PUNCTUATION}"


def wildcards(choices: Choices) -> Group:
    """Names that are patterns, and names that these match: in SQL, as a glob, as an expression."""
    stem = _stem(choices)
    if choices.below(3):
        return f"{stem}_?.*", f"{stem}x?.*", f"{stem}_b.c"
    pairs = (
        (f"{stem}_c", f"{stem}bc"),
        (f"{stem}%", f"{stem}bc"),
        (f"{stem}*", f"{stem}bc"),
        (f"{stem}?c", f"{stem}bc"),
        (f"{stem}[bd]c", f"{stem}bc"),
        (f"{stem}.c", f"{stem}bc"),
        ("*", f"{stem}bc"),
        (".*", "%", f"{stem}bc"),
    )
    return choices.pick(pairs)


def paths(choices: Choices) -> Group:
    """Names that lead somewhere where they are taken for paths, and the short way there."""
    stem = _stem(choices)
    others = (
        "../outside",
        "..",
        ".",
        "/etc/holdfast",
        f"a\\{stem}",
        f"./a/{stem}",
        f"a/{stem}/",
        "a/../../b",
        "..\\outside",
    )
    return f"x/..//a/./{stem}", f"a/{stem}", choices.pick(others)


def prefixes(choices: Choices) -> Group:
    """Names that others begin with; one of these is below it, where names are paths."""
    stem = _stem(choices)
    rest = choices.pick(("x", "-1", ".1", "0", "/x/0", stem))
    return stem, f"{stem}/x", f"{stem}{rest}"


def long_names(choices: Choices) -> Group:
    """The longest names, which differ in their last bytes only."""
    head = choices.pick("xY7") * (KEY_MAX_BYTES - 1)
    others = (head, "\u00e9" * (KEY_MAX_BYTES // 2), "\U0001f4be" * (KEY_MAX_BYTES // 4))
    return f"{head}a", f"{head}b", choices.pick(others)


def lengths(choices: Choices) -> Group:
    """Names of lengths at which columns and file names end, with the same beginning."""
    letter = choices.pick("kZ5")
    wide = "\u00e9" * (KEY_MAX_BYTES // 2 - 1)
    sizes = ((63, 64, 65), (1, 2), (64, 65, 100), (100, 127, 128), (31, 32, 33))
    groups = (
        *(tuple(letter * size for size in three) for three in sizes),
        (f"{wide}\u00e9", f"{wide}\u00e8"),
    )
    return choices.pick(groups)


def joined(choices: Choices) -> Group:
    """Names that are one when two of them are joined, or one of them is split."""
    stem, mark = _stem(choices), choices.pick("/:-_@.")
    return f"{stem}{mark}a", stem, f"a{mark}{stem}"


def own_files(choices: Choices) -> Group:
    """Names that a driver may have for files and rows of its own."""
    stem = _stem(choices)
    endings = (".tmp", ".part", ".json", ".lock", ".raw", "~", ".meta", ".sha256", ".partial", ".0")
    groups = (
        *((f"{stem}{ending}", stem) for ending in endings),
        ("manifest", "manifest.json", ".manifest"),
        ("lock", ".lock"),
        (".tmp", "tmp"),
        ("volumes", "snapshots", "objects"),
        ("store.json", "uploads", "parts"),
        ("index", "data", ".hidden"),
    )
    return choices.pick(groups)


def reserved(choices: Choices) -> Group:
    """Names that are something else on some system, or in some language."""
    groups = (
        ("CON", "con", "aux.txt"),
        ("NUL", "COM1", "LPT1."),
        ("null", "None", "true"),
        ("0", "00", "-0"),
        ("7", "007", "7.0"),
        ("1e3", "1000", "0x3e8"),
        ("undefined", "NaN", "-1"),
    )
    return choices.pick(groups)


def commands(choices: Choices) -> Group:
    """Names that do something where they are not quoted."""
    groups = (
        ("; touch outside", "-rf"),
        ("$(touch outside)", "--help"),
        ("`touch outside`", "-"),
        ("x && touch outside", "--"),
        ("| touch outside", "$HOME"),
        ("x\ntouch outside", "-o"),
        ("quote'\"`\\", "it's"),
        ("'; DROP TABLE volumes; --", '"'),
        ("{0}{key}%s%n", "%d"),
        ("<b>x</b>", "]]>"),
    )
    return choices.pick(groups)


def scripts(choices: Choices) -> Group:
    """Names in other scripts, some of which look the same or run the other way."""
    stem = _stem(choices)
    groups = (
        ("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd-1"),
        (f"{stem}\u202egpj", f"{stem}gpj"),
        ("日本語/\U0001f4be", "\U0001f468\u200d\U0001f469\u200d\U0001f467"),
        (f"{stem}\u200bb", f"{stem}b"),
        (f"{stem}\u0430", f"{stem}a"),
        ("\uffff", "\U00010000", "\ue000"),
        ("\u0301", "\u3000"),
        (f"{stem}\u00c4", f"{stem}\u00e4"),
        (f"{stem}STRASSE", f"{stem}stra\u00dfe"),
        (f"{stem}-\u0130I", f"{stem}-i\u0131"),
        (f"{stem}\ufb01", f"{stem}fi"),
        (f"{stem}\uff21\u00b2", f"{stem}A2"),
    )
    return choices.pick(groups)


def blanks(choices: Choices) -> Group:
    """Names of which little is left when they are trimmed."""
    groups = ((" ", "  "), (".", " ."), ("-", "_"), ("/", "//"), ("\u00a0", " "), ("\\", "\n"))
    return choices.pick(groups)


DESTRUCTIVE: tuple[NameClass, ...] = (
    case_pairs,
    normal_forms,
    escapes,
    blanks_for_plus,
    ends,
    beginnings,
    control_characters,
    punctuation,
    wildcards,
    paths,
    prefixes,
    long_names,
)
"""Where one name is taken for another, something is lost: met in any two rounds."""

OTHERS: tuple[NameClass, ...] = (
    lengths,
    joined,
    own_files,
    reserved,
    commands,
    scripts,
    blanks,
)
"""Met in every third round."""

CLASSES = (*DESTRUCTIVE, *OTHERS)


def classes_of(turn: int) -> Sequence[NameClass]:
    """The classes that a story meets when it is told for the ``turn``-th time, from 0."""
    place = turn % 3
    return OTHERS if place == 2 else DESTRUCTIVE[place::2]


def groups_of(choices: Choices) -> list[Group]:
    """A group of every class of this turn, in some order."""
    return [draw(choices) for draw in choices.shuffled(classes_of(choices.turn))]


def some_names(choices: Choices, groups: int) -> Group:
    """The names of some groups of any class, each once."""
    drawn = [choices.pick(CLASSES)(choices) for _ in range(groups)]
    return tuple(dict.fromkeys(name for group in drawn for name in group))


def without_joining(group: Group) -> Group:
    """The group for volumes and hosts in grants, with nothing that inventories put between them."""
    return tuple(dict.fromkeys(name.translate(_JOINING) for name in group))
