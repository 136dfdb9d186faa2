"""Hypothesis as the source of chance: bytes that follow from the seed, of which others make plans.

Hypothesis mines constants out of whatever local modules happen to be imported and mixes them into
what it draws, so that an editable install or another package would change every plan. The provider
below draws from the seed alone. No setting is left to the surroundings either: the profile that
Hypothesis loads where ``CI`` is set would make all seeds equal.
"""

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture.providers import AVAILABLE_PROVIDERS, HypothesisProvider

_BACKEND = "holdfast-plans"
DRAWN_BYTES = 1536
"""How much is drawn for one plan; Hypothesis gives up on a test case beyond 8 KiB."""


class SeededProvider(HypothesisProvider):
    """Draws bytes evenly from the seeded generator: no constants, no preferred values."""

    def draw_bytes(self, min_size: int = 0, max_size: int = DRAWN_BYTES) -> bytes:
        """Exactly ``min_size`` bytes; plans never ask for a size that varies."""
        if min_size != max_size or self._random is None:
            raise ValueError("plans are drawn with a fixed size")
        return self._random.randbytes(min_size)


AVAILABLE_PROVIDERS[_BACKEND] = SeededProvider


def draw(count: int, number: int) -> tuple[bytes, ...]:
    """``count`` draws, a function of the seed ``number`` and the version of Hypothesis alone."""
    drawn: list[bytes] = []
    chosen = settings(
        parent=settings.get_profile("default"),
        max_examples=count + 1,
        backend=_BACKEND,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        report_multiple_bugs=False,
        # How fast this machine is must not decide what is drawn.
        suppress_health_check=[HealthCheck.too_slow],
    )
    if chosen.derandomize:
        raise AssertionError("a derandomized Hypothesis would ignore the seed")

    @seed(number)
    @chosen
    @given(st.binary(min_size=DRAWN_BYTES, max_size=DRAWN_BYTES))
    def collect(data: bytes) -> None:
        drawn.append(data)

    collect()
    # Hypothesis begins with the simplest value there is, which decides nothing.
    plans = tuple(data for data in drawn if any(data))[:count]
    if len(plans) < count:
        raise AssertionError(f"Hypothesis drew {len(plans)} of {count} plans")
    return plans
