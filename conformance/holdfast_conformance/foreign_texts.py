"""Texts of a driver or testbed, whatever they are, in a form that can be written down."""

import msgspec


def described(problem: BaseException) -> str:
    """An exception in one line, whatever its ``__str__`` does."""
    text = " ".join(shown(problem).split())
    return f"{type(problem).__name__}: {text}" if text else type(problem).__name__


def shown(value: object) -> str:
    """The text of whatever a driver gives, whatever its ``__str__`` does."""
    try:
        return writable(str(value))
    except Exception:  # noqa: BLE001 - a hostile __str__ must not become our own error
        return "(its text cannot be shown)"


def writable(text: str) -> str:
    """The text with everything escaped that UTF-8 cannot hold, such as half of a surrogate pair."""
    return str.encode(text, "utf-8", "backslashreplace").decode()


def unwritable(answer: object) -> str:
    """Why an answer cannot be written into a trace; empty where it can."""
    try:
        msgspec.json.encode(answer)
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as problem:
        return f"an answer that cannot be written down: {described(problem)}"
    return ""
