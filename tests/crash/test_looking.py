"""The look after a crash sees every kind of damage."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

DAMAGES = {
    "a volume's byte": """
        data = next(demo.glob("primary-1/primary/volumes/*/data*"))
        with data.open("r+b") as file:
            file.write(b"!")
    """,
    "an object's byte": """
        data = next(demo.glob("images/image/objects/bak-*/data*"))
        with data.open("r+b") as file:
            file.write(b"!")
    """,
    "a snapshot's bytes": """
        next(demo.glob("primary-1/primary/snapshots/*/data*")).write_bytes(b"")
    """,
    "a volume": """
        shutil.rmtree(next(demo.glob("primary-2/primary/volumes/*")))
    """,
    "a row": """
        with sqlite3.connect(demo / "catalogue.sqlite") as catalogue:
            catalogue.execute("DELETE FROM snapshots")
    """,
    "the catalogue": """
        (demo / "catalogue.sqlite").unlink()
    """,
    "something left over": """
        (demo / "images/image/staging/object.x").mkdir()
    """,
    "nothing": "",
}

SCRIPT = """
import json, shutil, sqlite3, sys, textwrap
from pathlib import Path
from crashing.playing import look_in_child, play
from crashing.server import make_image

place = Path(sys.argv[1])
demo, image, log, answer = (place / name for name in ("demo", "image", "log", "seen"))
make_image(image)
played = play(demo, image, log)
exec(textwrap.dedent(sys.argv[2]))
print(json.dumps(look_in_child(demo, played.promises, answer=answer, log=log).problems))
"""


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_seen(damage: str, tmp_path: Path) -> None:
    """Lost or changed bytes, rows and leftovers are problems; an undamaged zone has none."""
    support = str(Path(__file__).resolve().parent.parent / "support")
    looked = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), DAMAGES[damage]],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": support},
    )
    problems = json.loads(looked.stdout)

    assert bool(problems) == (damage != "nothing"), problems
