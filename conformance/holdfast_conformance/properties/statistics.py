"""CST: figures are sane at every moment, and come back to where they were."""

from holdfast.contract.answers import PoolList, StatsInfo
from holdfast.contract.requests import GetStats
from holdfast_conformance.judgement.evidence import (
    HELD,
    Capabilities,
    Held,
    Judgement,
    StepMoment,
    Violated,
)
from holdfast_conformance.judgement.registry import checks_steps
from holdfast_conformance.judgement.trace_walk import USED, figures_in
from holdfast_conformance.trace import Reply
from holdfast_conformance.verdict import Level


@checks_steps(
    "CST-01",
    Level.L1,
    "Figures are bytes with 0 <= used <= total and nothing negative, at every moment.",
)
def _sane(moment: StepMoment) -> Judgement:
    match moment.reply:
        case StatsInfo() as stats:
            problem = _problem(stats.total_bytes, stats.used_bytes, stats.allocated_bytes)
            if stats.objects < 0:
                problem = f"{stats.objects} objects"
        case PoolList(items=pools):
            problems = (_problem(p.total_bytes, p.used_bytes, p.allocated_bytes) for p in pools)
            problem = next(filter(None, problems), "")
            if not pools:
                problem = "no pool at all"
        case _:
            return None
    return Violated("0 <= used <= total, nothing negative", problem) if problem else HELD


def _problem(total: int, used: int, allocated: int) -> str:
    if 0 <= used <= total and allocated >= 0:
        return ""
    return f"total {total}, used {used}, allocated {allocated}"


def _both(_: Capabilities) -> tuple[str, ...]:
    return ("zero", "back")


@checks_steps(
    "CST-03",
    Level.L1,
    "A store that holds the same things reports the same figures, and zero when it holds nothing.",
    aspects=_both,
)
def _come_back(moment: StepMoment) -> Judgement:
    step = moment.step
    figures = figures_in(moment.reply)
    if figures is None or (isinstance(step, GetStats) and step.volume):
        return None
    if not moment.owned and any(figures):
        return Violated("nothing allocated, no objects", _named(figures))
    known = moment.figures.get(moment.verb)
    if known is not None and known != figures:
        return Violated(f"{_named(known)}, as before with the same things", _named(figures))
    used, before = _used(moment.reply), moment.figures.get(USED)
    if not moment.owned and before == (0,) and used:
        return Violated("0 bytes used, as before when it held nothing", f"{used} bytes used")
    aspects = (*(("zero",) if not moment.owned else ()), *(("back",) if known else ()))
    return Held(aspects) if aspects else None


def _used(reply: Reply | None) -> int:
    return reply.used_bytes if isinstance(reply, StatsInfo) else 0


def _named(figures: tuple[int, ...]) -> str:
    return f"allocated bytes and objects {', '.join(map(str, figures))}"
