"""Durations as people type them: ``90``, ``90s``, ``10m``, ``2h``."""

import re

import typer

_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}
_FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([smh]?)")


def duration_s(text: str) -> float:
    """The seconds in a duration; ``typer.BadParameter`` when it is none."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no duration; write 90s, 10m or 2h")
    return float(match[1]) * _UNITS_S[match[2]]
