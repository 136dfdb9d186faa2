"""Plans made by Hypothesis against the model alone, before any driver is touched."""

from holdfast_conformance.generate.plans import (
    SUITE_VERSION,
    generate_plans,
    plans_digest,
    plans_of,
)

__all__ = ["SUITE_VERSION", "generate_plans", "plans_digest", "plans_of"]
