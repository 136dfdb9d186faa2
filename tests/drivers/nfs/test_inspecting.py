"""The inspectors of storage hosts, on stores in which something stands that nobody put there."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast_drivers.inspection.readers.kept_facts import is_settled
from holdfast_drivers.inspection.readers.store_folders import each
from holdfast_drivers.iscsi import inspection as iscsi_inside
from holdfast_drivers.nfs import inspection
from holdfast_drivers.nfs.inspector import program
from local_stores import Store, create, with_store
from strangers import BAD, DISKS, surroundings


def made(tmp_path: Path, use: Callable[[Path], object]) -> Path:
    """The folder of a primary store with one good volume, after ``use`` of it."""
    root = surroundings(tmp_path)

    async def main(store: Store) -> Path:
        await create(await store.primary(), "good")
        use(store.folder / "primary")
        return store.folder / "primary"

    return with_store(root, main)


@pytest.mark.parametrize("kind", DISKS)
def test_an_unreadable_volume_is_one_entry_of_the_inventory(tmp_path: Path, kind: str) -> None:
    """Both inspectors name it with a reason, read nothing through it, and show all others."""
    folder = made(tmp_path, lambda primary: DISKS[kind](primary / "volumes" / BAD))
    os.utime(folder / "volumes" / BAD, follow_symlinks=False)
    while not is_settled(folder / "volumes" / BAD):
        pass
    for disks in (inspection.disks, iscsi_inside.disks):
        seen = list(each(folder / "volumes", disks("volume")))
        assert sorted((thing.kind, thing.key) for thing in seen) == [
            ("unreadable", f"volumes/{BAD}"),
            ("volume", "good"),
        ]
        assert all(thing.detail for thing in seen if thing.kind == "unreadable")


def test_what_changes_while_it_is_read_is_looked_at_again(tmp_path: Path) -> None:
    """A volume that is half there just now is no entry: whoever asked is to ask again."""
    folder = made(tmp_path, lambda primary: (primary / "volumes" / BAD).mkdir())
    (folder / "volumes" / BAD).touch()
    with pytest.raises(inspection.ChangedWhileReadError):
        list(each(folder / "volumes", inspection.disks("volume")))


def test_the_program_for_a_storage_host_needs_no_package_of_ours(tmp_path: Path) -> None:
    """All that it imports of ours is sent with it as one text, and it answers."""
    alone = "import sys\nsys.modules['holdfast'] = sys.modules['holdfast_drivers'] = None\n"
    question = json.dumps({"do": "look", "sandbox": str(tmp_path / "no"), "folder": "", "role": ""})
    done = subprocess.run(
        (sys.executable, "-I", "-c", f"{alone}{program()}"),
        input=question.encode() + b"\n",
        capture_output=True,
        check=True,
    )
    assert json.load(io.BytesIO(done.stdout)) == {"things": [], "outside": ""}
