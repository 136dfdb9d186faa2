"""The end of what a program complains about, kept short enough for a message."""

_TAIL_BYTES = 2000
_SHOWN = 300


class Tail:
    """The last bytes of a stream."""

    def __init__(self) -> None:
        self.data = b""

    def add(self, data: bytes) -> None:
        """Take more, and forget what is too far back."""
        self.data = (self.data + data)[-_TAIL_BYTES:]

    def told(self) -> str:
        """The last line that says something, for a message."""
        lines = [line.strip() for line in self.data.decode(errors="replace").splitlines()]
        texts = [line for line in lines if line]
        return texts[-1][:_SHOWN] if texts else ""


def ending(status: int | None, tail: Tail) -> str:
    """One sentence on how a program ended."""
    if status is None:
        how = "the connection broke"
    elif status < 0:
        how = f"it was killed by signal {-status}"
    else:
        how = f"it ended with status {status}"
    text = tail.told()
    return f"{how}: {text}" if text else how
