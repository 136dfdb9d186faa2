"""Mutants: providers with one planted defect each, by which a conformance suite is measured.

A plug-in lists its mutants under the entry-point group ``holdfast.mutants``, as a tuple. The suite
must fail a mutant by the property that the mutant names; that something else fails is not enough.
A blind one was written by somebody who had seen neither the suite's plans nor its properties. It
names none, and whatever fails kills it: it measures what the suite sees that nobody wrote it for.
"""

from collections.abc import Callable

import msgspec

from holdfast.contract.ports import Provider


class Mutant(msgspec.Struct, frozen=True, kw_only=True):
    """A provider that is right but for one thing.

    Args:
        name: what is wrong, in lower case with hyphens; unique within its plug-in.
        property: the id of the property that must fail; empty for a blind one.
        category: the property's category, such as ``VOL``; empty for a blind one.
        statement: one sentence for people: what the defect does, and where such a defect was
            reported in public, that report.
        provider: makes the defective provider.
        blind: written without knowledge of the suite.
        loses_data: acknowledged data is lost or wrong; said of blind ones alone.
    """

    name: str
    property: str
    category: str
    statement: str
    provider: Callable[[], Provider]
    blind: bool = False
    loses_data: bool = False
