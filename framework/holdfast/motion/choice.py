"""The choice of a mechanism for a pair: every mechanism is asked, and each answer can be shown."""

from collections.abc import Iterable

import msgspec

from holdfast.contract.errors import Unsupported
from holdfast.motion.mechanism import Mechanism, Offer, Pair, Refusal


class Considered(msgspec.Struct, frozen=True, kw_only=True):
    """What one mechanism answered."""

    mechanism: Mechanism
    answer: Offer | Refusal

    def line(self) -> str:
        """The answer for people."""
        answer = self.answer
        said = answer.how if isinstance(answer, Offer) else f"no: {answer.reason}"
        return f"{self.mechanism.name}: {said}"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """All answers; the offers come first, the cheapest before the others."""

    considered: tuple[Considered, ...]

    @property
    def kept(self) -> tuple[Mechanism, ...]:
        """The mechanisms to try, in their order."""
        return tuple(each.mechanism for each in self.considered if isinstance(each.answer, Offer))


def choose(pair: Pair, mechanisms: Iterable[Mechanism]) -> Choice:
    """Ask every mechanism about a pair.

    Raises:
        Unsupported: not one of them can move it; says why, one by one.
    """
    answers = [Considered(mechanism=each, answer=each.offer(pair)) for each in mechanisms]
    choice = Choice(considered=tuple(sorted(answers, key=_order)))
    if not choice.kept:
        reasons = "; ".join(each.line() for each in choice.considered) or "none is installed"
        raise Unsupported(
            f"no mechanism can move {pair.source.name} to {pair.target.name} ({reasons})"
        )
    return choice


def _order(considered: Considered) -> tuple[bool, float]:
    answer = considered.answer
    return (False, answer.cost) if isinstance(answer, Offer) else (True, 0.0)
