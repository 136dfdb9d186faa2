"""What steps of a plan have in common that are no driver verb."""

from holdfast.contract.requests import Request


class HarnessStep(Request, frozen=True, kw_only=True):
    """The base of steps that are no driver verb."""
