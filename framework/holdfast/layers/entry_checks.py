"""The entries of an enumeration: one that is told improperly is set apart, and all others count."""

from typing import Any, Final

from holdfast.contract import answers
from holdfast.layers.answer_checks import well_formed

_is_proper: Final = well_formed(answers.OwnedThing)
_PROPER: Final[dict[str, Any]] = {"kind": answers.OwnedKind.TEMPORARY, "id": ""}


def set_apart(thing: Any) -> answers.OwnedThing:
    """An entry as it is; one that is told improperly as one that cannot be read.

    What is no entry at all passes, for the check of answers to refuse.
    """
    if not isinstance(thing, answers.OwnedThing) or _is_proper(thing):
        return thing  # type: ignore[no-any-return]  # what is no entry at all is refused after this
    wrong = [
        name
        for name in thing.__struct_fields__
        if not _is_proper(answers.OwnedThing(**(_PROPER | {name: getattr(thing, name)})))
    ]
    return answers.OwnedThing(
        kind=answers.OwnedKind.UNREADABLE,
        id=_shown(thing.id) or "an entry without an id",
        key=_shown(thing.key),
        operation=_shown(thing.operation),
        reason=f"nonsense: what the driver says of its {' and '.join(wrong)} cannot be",
    )


def _shown(text: object) -> str:
    """What a driver says where there should be text."""
    return text.encode(errors="backslashreplace").decode() if isinstance(text, str) else ""
