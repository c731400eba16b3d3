"""A Postgres server for one measurement: Debian's, on a free port, gone at the end."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DEBIAN = Path("/usr/lib/postgresql")
USER = "postgres"  # it refuses to run as root


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Start a server whose data lies in `folder`; yield its address for Prefect.

    Raises:
        SystemExit: Postgres is not installed.
    """
    programs = _programs()
    as_user = ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]
    run = as_user if os.geteuid() == 0 else []
    folder.mkdir()
    if run:
        shutil.chown(folder, USER, USER)
        for parent in folder.parents:  # temporary folders are closed to others
            if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o011)
    data, log = folder / "data", folder / "log"
    start = ["-D", str(data), "-A", "trust", "-U", USER, "--encoding=UTF8", "--locale=C"]
    subprocess.run([*run, str(programs / "initdb"), *start], check=True, stdout=subprocess.DEVNULL)
    port = _free_port()
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
    control = [*run, str(programs / "pg_ctl"), "-D", str(data), "-w"]
    subprocess.run(
        [*control, "-l", str(log), "-o", options, "start"], check=True, stdout=subprocess.DEVNULL
    )
    try:
        yield f"postgresql+asyncpg://{USER}@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "fast", "stop"], check=False, stdout=subprocess.DEVNULL)


def _programs() -> Path:
    """Return the folder of `initdb` and `pg_ctl`; Debian does not put them on the PATH."""
    on_path = shutil.which("initdb")
    folders = sorted(DEBIAN.glob("*/bin"), key=lambda path: float(path.parent.name))
    if on_path is None and not folders:
        raise SystemExit(
            "there is no Postgres here: install it (Debian: apt-get install postgresql)"
        )
    return folders[-1] if folders else Path(on_path or "").parent


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
