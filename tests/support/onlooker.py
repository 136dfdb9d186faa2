"""Watches what secrets must never appear in: logs of every library, and children's commands."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PAUSE_S = 0.01


class Onlooker(logging.Handler):
    """Everything that was logged, at any level, and every command line that was seen."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.logged: list[str] = []
        self.commands: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record as text, with its exception."""
        self.logged.append(logging.Formatter().format(record))

    def look(self) -> None:
        """Keep the command lines and environments of all descendants."""
        for process in _descendants():
            for name in ("cmdline", "environ"):
                try:
                    text = Path(f"/proc/{process}/{name}").read_bytes()
                except OSError:  # it ended meanwhile
                    continue
                if not (name == "environ" and text == _own_environment()):
                    self.commands.add(text.decode(errors="replace"))

    def where(self, secret: str) -> list[str]:
        """The records and command lines in which a secret appeared."""
        return [text for text in (*self.logged, *sorted(self.commands)) if secret in text]


def _own_environment() -> bytes:
    return Path("/proc/self/environ").read_bytes()


def _descendants() -> list[int]:
    """Every process that this one started, or that one of those started."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                line = (folder / "stat").read_text()
            except OSError:  # it ended meanwhile
                continue
            parents[int(folder.name)] = int(line.rpartition(")")[2].split()[1])
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {os.getpid()})


@contextmanager
def looking_on() -> Iterator[Onlooker]:
    """Watch for as long as the context lasts."""
    onlooker = Onlooker()
    root = logging.getLogger()
    level = root.level
    root.addHandler(onlooker)
    root.setLevel(logging.DEBUG)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_PAUSE_S):
            onlooker.look()

    watcher = threading.Thread(target=watch, name="onlooker")
    watcher.start()
    try:
        yield onlooker
    finally:
        ended.set()
        watcher.join()
        root.removeHandler(onlooker)
        root.setLevel(level)
