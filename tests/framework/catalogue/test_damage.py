"""A catalogue that is not what was written is named, whatever became of it; nothing is guessed."""

import json
import random
import re
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from catalogue_files import fill, harm_of, killed, transacted, within
from crashing.looking import command
from holdfast.catalogue.port import (
    Catalogue,
    CatalogueDamaged,
    Damage,
    RowDamaged,
    Transaction,
)
from holdfast.cli.recover import run_recover
from holdfast.cli.scrub import run_scrub
from holdfast.contract.errors import ConfigurationError, HoldfastError
from holdfast.model.rows import Volume, Zone
from upgrade_fixtures import CATALOGUE, names, unpack

PAGE = 4096


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed catalogue of some hundred pages, free ones among them."""
    path = tmp_path_factory.mktemp("sound") / "zone.db"
    transacted(path, fill)
    transacted(path, lambda tx: [tx.remove(zone) for zone in tx.select(Zone)[5:]])
    return path


def copy_of(path: Path, folder: Path) -> Path:
    target = folder / path.name
    shutil.copyfile(path, target)
    return target


def overwritten(path: Path, page: int, content: bytes) -> None:
    overwritten_at(path, page * PAGE, content)


def overwritten_at(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def noise(chance: random.Random, _data: bytes) -> bytes:
    return chance.randbytes(PAGE)


def zeroes(_chance: random.Random, _data: bytes) -> bytes:
    return bytes(PAGE)


def other_page(chance: random.Random, data: bytes) -> bytes:
    return data[(at := chance.randrange(len(data) // PAGE) * PAGE) : at + PAGE]


def test_a_sound_catalogue_has_no_damage(sound: Path, tmp_path: Path) -> None:
    """What was written is found as it was written."""
    assert harm_of(copy_of(sound, tmp_path)) == ()


@pytest.mark.slow
@pytest.mark.parametrize("harm", [noise, zeroes, other_page])
def test_of_30_catalogues_with_one_page_overwritten_all_are_named(
    sound: Path, tmp_path: Path, harm: Callable[[random.Random, bytes], bytes]
) -> None:
    """Whichever page was overwritten, with whatever: the catalogue is refused, or is not clean."""
    data = sound.read_bytes()
    chance = random.Random(harm.__name__)
    silent: list[int] = []
    for page in chance.sample(range(len(data) // PAGE), 30):
        content = harm(chance, data)
        if content == data[page * PAGE : (page + 1) * PAGE]:
            continue
        path = copy_of(sound, tmp_path)
        overwritten(path, page, content)
        if harm_of(path) == ():
            silent.append(page)

    assert silent == []


ROW = "WHERE id = 'vol-00007'"
NUMBER = "replace(body, '\"size_bytes\":7', '\"size_bytes\":8')"
OTHERS = "SELECT body, digest FROM volumes WHERE id = 'vol-00008'"
BODY = f"UPDATE volumes SET body = {NUMBER} {ROW}"
TEXT = f"UPDATE volumes SET body = substr(body, 1, 40) {ROW}"
BLOB = f"UPDATE volumes SET body = x'ff00' {ROW}"
BAD_UTF8 = f"UPDATE volumes SET body = CAST(x'ff7b7d' AS TEXT) {ROW}"
STATE = f"UPDATE volumes SET state = 'Ready' {ROW}"
VERSION = f"UPDATE volumes SET version = 9 {ROW}"
RENAMED = f"UPDATE volumes SET id = 'vol-99999' {ROW}"
SWAPPED = f"UPDATE volumes SET (body, digest) = ({OTHERS}) {ROW}"


def changed(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        assert connection.execute(statement).rowcount == 1
    connection.close()


@pytest.mark.parametrize(
    "statement", [BODY, TEXT, BLOB, BAD_UTF8, STATE, VERSION, RENAMED, SWAPPED]
)
def test_a_row_that_was_changed_is_one_finding(sound: Path, tmp_path: Path, statement: str) -> None:
    """A row whose body, id, version or column is not what was written is named, and no other."""
    path = copy_of(sound, tmp_path)
    changed(path, statement)

    (found,) = damage(path)
    assert (found.what, found.key) in {("Volume", "vol-00007"), ("Volume", "vol-99999")}


def damage(path: Path) -> tuple[Damage, ...]:
    found = harm_of(path)
    assert not isinstance(found, HoldfastError), found
    return found


@pytest.mark.parametrize("statement", [BODY, TEXT, BLOB, BAD_UTF8])
def test_a_damaged_row_stops_only_those_who_need_it(
    sound: Path, tmp_path: Path, statement: str
) -> None:
    """Who reads a damaged row is told which one and what to do; all others are served."""
    path = copy_of(sound, tmp_path)
    changed(path, statement)

    async def use(catalogue: Catalogue) -> None:
        looks: list[Callable[[Transaction], object]] = [
            lambda tx: tx.get(Volume, "vol-00007"),
            lambda tx: tx.select(Volume),
            lambda tx: tx.select(Volume, name="00007"),
        ]
        for look in looks:
            with pytest.raises(RowDamaged, match=r"Volume vol-00007 is damaged.*restore"):
                await catalogue.transact(look)
        assert (await catalogue.transact(lambda tx: tx.get(Volume, "vol-00008"))).size_bytes == 8
        others = {f"vol-{number:05d}" for number in range(60)} - {"vol-00007"}
        intact = await catalogue.transact(lambda tx: tx.intact(Volume))
        assert {row.id for row in intact} == others
        for limit in (1, 2, 7, 8, 100):
            after, paged = "", set[str]()
            while page := await catalogue.transact(
                partial(page_of_volumes, after=after, limit=limit)
            ):
                after = page[-1].id
                paged |= {row.id for row in page}
            assert paged == others

    within(path, use)


def page_of_volumes(tx: Transaction, *, after: str, limit: int) -> list[Volume]:
    return tx.page(Volume, after=after, limit=limit)


def test_scrub_names_a_damaged_row(sound: Path, tmp_path: Path) -> None:
    """A row that does not decode is one finding of scrub, in one line, and the exit code is 1."""
    path = copy_of(sound, tmp_path)
    changed(path, TEXT)
    code, printed = command(run_scrub, path)

    assert code == 1
    assert printed.count("Volume vol-00007: its body is not what was written; restore") == 1
    assert printed.count("damaged") == 1


@pytest.mark.slow
def test_recovery_names_a_damaged_operation_and_recovers_the_others(tmp_path: Path) -> None:
    """An operation that cannot be read is told as one that is not recovered; all others are."""
    known = unpack(names()[0], tmp_path)
    path = tmp_path / CATALOGUE
    assert harm_of(path) == ()
    lost = min(name for name, state in known.in_flight.items() if state == "Running")
    changed(path, f"UPDATE operations SET body = substr(body, 1, 99) WHERE id = '{lost}'")

    code, printed = command(run_recover, path, as_json=True)

    verdicts = {one["operation"]: one["verdict"] for one in json.loads(printed)}
    assert code == 1
    assert set(known.in_flight) == set(verdicts)
    assert [lost] == [name for name, verdict in verdicts.items() if verdict == "unknown"]
    assert f"Operation {lost} is damaged in the catalogue" in printed


def test_an_emptied_catalogue_is_not_begun_anew(sound: Path, tmp_path: Path) -> None:
    """A command that needs a catalogue takes no empty file for one; nor is its WAL thrown away."""
    path = copy_of(sound, tmp_path)
    killed(path, partial(fill, first=1000, count=3))
    left = wal_of(path).read_bytes()
    path.write_bytes(b"")

    assert isinstance(harm_of(path), CatalogueDamaged)
    assert left == wal_of(path).read_bytes()
    for beside in (wal_of(path), shm_of(path)):
        beside.unlink()
    with pytest.raises(ConfigurationError, match="is empty, and no catalogue"):
        run_recover(path)


def test_an_index_that_was_changed_is_named(sound: Path, tmp_path: Path) -> None:
    """An index that disagrees with its table is damage."""
    path = copy_of(sound, tmp_path)
    connection = sqlite3.connect(path, isolation_level=None)
    (root,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'ix_volumes_state'"
    ).fetchone()
    connection.close()
    page = path.read_bytes()[(root - 1) * PAGE : root * PAGE]
    overwritten(path, root - 1, page.replace(b"Creating", b"Expunged", 1))

    assert harm_of(path) != ()


def test_a_schema_that_was_changed_is_refused(sound: Path, tmp_path: Path) -> None:
    """An index that is missing makes it another schema."""
    path = copy_of(sound, tmp_path)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DROP INDEX ix_volumes_state")
    connection.close()

    assert isinstance(harm_of(path), CatalogueDamaged)


@pytest.mark.slow
def test_text_that_is_damaged_in_the_schema_is_named(sound: Path, tmp_path: Path) -> None:
    """Also where SQLite's own message about it cannot be read."""
    data = sound.read_bytes()
    path = tmp_path / "zone.db"
    for found in re.finditer(b"NOT NULL|CREATE|volumes", data):
        path.write_bytes(data)
        overwritten_at(path, found.start(), b"\xce")

        assert harm_of(path) != (), found


@pytest.mark.parametrize("name", [b"%2\xff", b"\0", b"%00", b"\xce"])
def test_the_path_that_a_catalogue_keeps_can_be_damaged_too(
    sound: Path, tmp_path: Path, name: bytes
) -> None:
    """It is no path to look at then."""
    path = copy_of(sound, tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE catalogue SET opened_as = CAST(? AS TEXT)", (name,))

    harm = harm_of(path)

    assert harm == () or isinstance(harm, CatalogueDamaged)


def test_a_file_that_was_cut_is_refused(sound: Path, tmp_path: Path) -> None:
    """A catalogue that lost its end is damaged, however short it is."""
    for size in (50, PAGE, PAGE * 7, sound.stat().st_size - PAGE):
        path = copy_of(sound, tmp_path)
        with path.open("r+b") as file:
            file.truncate(size)
        assert isinstance(harm_of(path), HoldfastError), size


@pytest.fixture
def left(sound: Path, tmp_path: Path) -> Path:
    """A catalogue whose owner was killed: three commits are in its WAL."""
    path = copy_of(sound, tmp_path)
    killed(path, *(partial(fill, first=first, count=10) for first in (1000, 2000, 3000)))
    return path


def wal_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def shm_of(path: Path) -> Path:
    return path.with_name(path.name + "-shm")


def volumes(path: Path) -> int:
    return len(transacted(path, lambda tx: tx.select(Volume)))


def test_what_a_killed_owner_left_is_whole(left: Path) -> None:
    """The WAL of a killed owner is read, and nothing is damaged."""
    assert wal_of(left).stat().st_size > 0
    assert harm_of(left) == ()
    assert volumes(left) == 90


@pytest.mark.parametrize("with_index", [True, False])
def test_a_wal_damaged_in_the_middle_is_named(left: Path, *, with_index: bool) -> None:
    """Commits that were acknowledged are never left out in silence; nothing is changed."""
    if not with_index:
        shm_of(left).unlink()
    wal = wal_of(left)
    data = bytearray(wal.read_bytes())
    data[40 + PAGE] ^= 1
    wal.write_bytes(data)

    told = harm_of(left)

    assert isinstance(told, CatalogueDamaged)
    assert "zone.db-wal" in str(told)
    assert wal.read_bytes() == data


def test_a_wal_that_was_cut_is_named(left: Path) -> None:
    """A WAL that lost its last commits, all of them, or is gone, is damaged."""
    whole = wal_of(left).read_bytes()
    index = shm_of(left).read_bytes()
    for size in (len(whole) // 2, 32, 10, 0, None):
        shm_of(left).write_bytes(index)
        wal_of(left).unlink()
        if size is not None:
            wal_of(left).write_bytes(whole[:size])
        assert isinstance(harm_of(left), CatalogueDamaged), size


def test_a_wal_header_that_was_overwritten_is_named(left: Path) -> None:
    """A WAL whose header is no header is damaged, with its index or without."""
    for gone in (False, True):
        data = bytearray(wal_of(left).read_bytes())
        data[:32] = b"x" * 32
        wal_of(left).write_bytes(data)
        if gone:
            shm_of(left).unlink()
        assert isinstance(harm_of(left), CatalogueDamaged)


def test_a_wal_torn_in_its_last_commit_is_a_power_cut(left: Path) -> None:
    """A commit that was never acknowledged may be torn: the ones before it are there."""
    shm_of(left).unlink()  # not on disk, as after a power cut
    wal = wal_of(left)
    with wal.open("r+b") as file:
        file.truncate(wal.stat().st_size - PAGE - 100)

    assert harm_of(left) == ()
    assert volumes(left) == 80


@pytest.mark.parametrize("with_index", [True, False])
def test_the_wal_of_another_catalogue_is_named(
    left: Path, tmp_path: Path, *, with_index: bool
) -> None:
    """A WAL, with its index or without, that was written for another catalogue is not read in."""
    other = tmp_path / "other" / "zone.db"
    other.parent.mkdir()
    transacted(other, fill)
    killed(other, partial(fill, first=5000, count=3), partial(fill, first=6000, count=3))
    before = left.read_bytes()
    shutil.copyfile(wal_of(other), wal_of(left))
    if with_index:
        shutil.copyfile(shm_of(other), shm_of(left))
    else:
        shm_of(left).unlink()

    assert isinstance(harm_of(left), CatalogueDamaged)
    assert before == left.read_bytes()


def test_a_catalogue_without_its_wal_goes_on_when_told_to(left: Path) -> None:
    """What the message advises works: without WAL and index the catalogue is what it was before."""
    wal_of(left).unlink()
    shm_of(left).unlink()

    assert harm_of(left) == ()
    assert volumes(left) == 60
