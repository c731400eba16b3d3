"""Files that a killed writer has left are removed by the next writer, and no others."""

import os
import subprocess
import sys
from pathlib import Path

from longform.storage.local_folder import LocalFolder
from longform.storage.temp_files import TEMP_FILE, temp_name
from tests.conftest import REPO_ROOT

WRITE = """
import sys
from pathlib import Path
from longform.storage.temp_files import temp_name

for name in ("talk.json", "other.json"):
    (Path(sys.argv[1]) / temp_name(name)).write_bytes(b"half")
"""


def test_what_a_dead_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    """Its half file for the same target goes; those of others, and of the living, stay."""
    living = tmp_path / temp_name("talk.json")
    living.write_bytes(b"half")
    environment = os.environ | {"PYTHONPATH": str(REPO_ROOT)}
    subprocess.run([sys.executable, "-c", WRITE, str(tmp_path)], env=environment, check=True)
    assert len(list(tmp_path.iterdir())) == 3
    LocalFolder(tmp_path).write("talk.json", b"whole")
    left = {path.name for path in tmp_path.iterdir()} - {"talk.json", living.name}
    assert living.exists()
    assert len(left) == 1
    LocalFolder(tmp_path).write("other.json", b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {"talk.json", "other.json", living.name}


def test_the_name_can_be_read_back() -> None:
    """The pattern knows the names that are given."""
    match = TEMP_FILE.fullmatch(temp_name("talk.json"))
    assert match is not None
    assert int(match["pid"]) == os.getpid()
