"""SQLite and memory never disagree, whatever is done to them in whatever batches."""

import asyncio
import contextlib
import tempfile
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from holdfast.catalogue import sql
from holdfast.catalogue.memory import MemoryCatalogue
from holdfast.catalogue.port import Catalogue, Transaction
from holdfast.catalogue.sqlite import open_catalogue
from holdfast.model.rows import LedgerEntry, Row, Volume
from holdfast.model.state_tables import Event

IDS = st.sampled_from(["a", "b", "c"])
TEXTS = st.sampled_from(["x", "y", "ä\x00"])


class Insert(msgspec.Struct, frozen=True):
    """A new row."""

    kind: type[Row]
    row_id: str
    text: str


class Update(msgspec.Struct, frozen=True):
    """A row rewritten, naming a version so far back."""

    kind: type[Row]
    row_id: str
    text: str
    back: int


class Fire(msgspec.Struct, frozen=True):
    """An event of a volume."""

    row_id: str
    event: Event


class Remove(msgspec.Struct, frozen=True):
    """A row dropped."""

    kind: type[Row]
    row_id: str


class Raise(msgspec.Struct, frozen=True):
    """The function gives up."""

    text: str


Action = Insert | Update | Fire | Remove | Raise

KINDS = st.sampled_from([Volume, LedgerEntry])
ACTIONS = st.one_of(
    st.builds(Insert, KINDS, IDS, TEXTS),
    st.builds(Update, KINDS, IDS, TEXTS, st.sampled_from([0, 0, 0, 1])),
    st.builds(
        Fire,
        IDS,
        st.sampled_from(
            [Event.CREATE_REQUESTED, Event.OPERATION_SUCCEEDED, Event.RESIZE_REQUESTED]
        ),
    ),
    st.builds(Remove, KINDS, IDS),
    st.builds(Raise, TEXTS),
)


def new_row(kind: type[Row], row_id: str, text: str) -> Row:
    if kind is Volume:
        return Volume(id=row_id, name=text, store="s", key=row_id, size_bytes=1)
    return LedgerEntry(id=row_id, store=text, holder="h", amount_bytes=1)


def act(tx: Transaction, action: Action) -> Row | None:
    match action:
        case Insert():
            return tx.insert(new_row(action.kind, action.row_id, action.text))
        case Update():
            row = tx.get(action.kind, action.row_id)
            field = "name" if action.kind is Volume else "store"
            changes: dict[str, Any] = {field: action.text, "version": row.version - action.back}
            return tx.update(msgspec.structs.replace(row, **changes))
        case Fire():
            return tx.fire(tx.get(Volume, action.row_id), action.event)
        case Remove():
            tx.remove(tx.get(action.kind, action.row_id))
            return None
        case Raise():
            raise LookupError(action.text)


def view(tx: Transaction) -> list[list[Any]]:
    return [
        list(tx.select(Volume)),
        list(tx.select(LedgerEntry)),
        *(list(tx.select(Volume, name=text)) for text in ("x", "y", "ä\x00")),
        *(list(tx.select(LedgerEntry, holder="h", store=text)) for text in ("x", "y")),
        [tx.find(kind, row_id) for kind in (Volume, LedgerEntry) for row_id in "abc"],
    ]


def play(tx: Transaction, actions: list[Action]) -> list[Any]:
    """What a transaction of these actions sees, step by step; the last refusal goes out."""
    return [(act(tx, action), view(tx)) for action in actions]


async def commit_together(catalogue: Catalogue, batch: list[list[Action]]) -> list[Any]:
    answers = await asyncio.gather(
        *(catalogue.transact(partial(play, actions=actions)) for actions in batch),
        return_exceptions=True,
    )
    return [
        (type(answer), str(answer)) if isinstance(answer, BaseException) else answer
        for answer in answers
    ]


class Pair(RuleBasedStateMachine):
    """Two catalogues that are told the same."""

    committed: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.loop = asyncio.new_event_loop()
        self.memory_stack = contextlib.AsyncExitStack()
        opened = MemoryCatalogue().opened()
        self.memory: Catalogue = self.run(self.memory_stack.enter_async_context(opened))
        self.open_file()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(coroutine)

    def open_file(self) -> None:
        self.stack = contextlib.AsyncExitStack()
        opened = open_catalogue(Path(self.folder.name) / "zone.db")
        self.file: Catalogue = self.run(self.stack.enter_async_context(opened))

    @rule(batch=st.lists(st.lists(ACTIONS, min_size=1, max_size=5), min_size=1, max_size=4))
    def commit(self, batch: list[list[Action]]) -> None:
        Pair.committed += len(batch)
        expected = self.run(commit_together(self.memory, batch))
        assert expected == self.run(commit_together(self.file, batch))
        assert self.run(self.memory.transact(view)) == self.run(self.file.transact(view))

    @rule()
    def reopen(self) -> None:
        self.run(self.stack.aclose())
        self.open_file()
        assert self.run(self.memory.transact(view)) == self.run(self.file.transact(view))

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.run(self.memory_stack.aclose())
        self.loop.close()
        self.folder.cleanup()


@pytest.mark.slow
@pytest.mark.parametrize("kept", [sql.KEPT_MAX, 1])
def test_sqlite_and_memory_agree(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Any batches of transactions get the same answers, also after reopening, kept rows or none."""
    monkeypatch.setattr(sql, "KEPT_MAX", kept)
    monkeypatch.setattr(Pair, "committed", 0)
    chosen = settings(
        max_examples=30,
        stateful_step_count=10,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(Pair, settings=chosen)
    assert Pair.committed > 0
