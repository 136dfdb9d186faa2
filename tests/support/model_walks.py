"""A model led through steps, each of which goes as it most likely would."""

from collections.abc import Iterator

from holdfast.contract.capabilities import ImageCapabilities, PrimaryCapabilities
from holdfast.contract.errors import ErrorKind
from holdfast.contract.requests import InitializeStore, Role
from holdfast_conformance.model.difference import Aspect
from holdfast_conformance.model.image_state import ImageState
from holdfast_conformance.model.image_store import ImageModel
from holdfast_conformance.model.model_choice import model_of
from holdfast_conformance.plan import Plan, Step, preparation
from holdfast_conformance.trace import Reply


def situations(declared: PrimaryCapabilities | ImageCapabilities, plan: Plan) -> Iterator[str]:
    """The situations that a plan goes through when everything works."""
    model = model_of(declared)
    state = model.initial(plan)
    for step in (*preparation(plan), *plan.steps):
        expectation = model.expect(state, step)
        assert expectation.branches, step
        yield from expectation.situations
        state = expectation.likely


class ImageWalk:
    """What the model of an image store says after steps on a new store."""

    def __init__(self, model: ImageModel) -> None:
        self._model = model

    def after(self, *steps: Step) -> ImageState:
        """The state after these steps."""
        plan = Plan(
            id="p", role=Role.IMAGE, origin="test", store="s", hosts=(), ready=False, steps=steps
        )
        state = self._model.initial(plan)
        for step in (InitializeStore(name="s"), *steps):
            state = self._model.expect(state, step).likely
        return state

    def allowed(self, step: Step, *before: Step) -> set[ErrorKind | None]:
        """The outcomes that are allowed for a step after these steps."""
        return set(self._model.expect(self.after(*before), step).kinds)

    def wrong(self, step: Step, reply: Reply, *before: Step) -> set[Aspect]:
        """What is wrong with a reply to a step after these steps."""
        state = self.after(*before)
        then = self._model.expect(state, step).likely
        differences = self._model.reply_differences(state, then, step, reply)
        return {difference.aspect for difference in differences}
