"""A real OpenSSH server of the current user on 127.0.0.1, with keys of its own."""

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_TIMEOUT_SEC = 60


@dataclass(frozen=True)
class SshServer:
    """Where it listens, and what a client needs to get in."""

    port: int
    user: str
    key: Path
    known_hosts: Path

    def cluster(self, num_hosts: int = 1, **options: str) -> str:
        """Return the setting for a cluster on this machine, as if it were several."""
        hosts = ",".join([f"127.0.0.1:{self.port}"] * num_hosts)
        asked = {"key": self.key, "known_hosts": self.known_hosts, "interface": "lo"} | options
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        return f"ssh://{self.user}@{hosts}?{query}"


def sshd_path() -> str | None:
    """Return the server's program, which is not on every user's PATH."""
    return shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """Run a server that lets in the current user with one key, and nobody else."""
    program = sshd_path()
    assert program is not None
    for name in ("host", "client"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True)
    port = _free_port()
    # It wants a folder for processes without rights, which only a service manager makes.
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    host_key = (folder / "host.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {' '.join(host_key)}\n")
    (folder / "authorized_keys").write_text((folder / "client.pub").read_text())
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {folder / 'host'}\nPidFile none\n"
        f"AuthorizedKeysFile {folder / 'authorized_keys'}\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nPermitUserEnvironment no\n"
        f'SetEnv PYTHONPATH="{os.environ.get("PYTHONPATH", "")}"\n'
    )
    user = pwd.getpwuid(os.getuid()).pw_name
    with (folder / "sshd.log").open("wb") as log:
        command = [program, "-D", "-e", "-f", str(folder / "sshd_config")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait(port, process, folder / "sshd.log")
        yield SshServer(port, user, folder / "client", folder / "known_hosts")
    finally:
        process.terminate()
        process.wait(START_TIMEOUT_SEC)


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SEC
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
