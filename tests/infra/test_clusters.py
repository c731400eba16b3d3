"""Every kind of cluster behind the one setting: what it offers, what it tells its workers."""

import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from distributed import Client

from infra.cluster import BACKENDS, chosen_backend, local_cluster, open_cluster
from infra.cluster_check import require_fit_workers, require_resources
from infra.clusters.cluster_url import cluster_url
from infra.clusters.ssh import ssh_specification
from infra.clusters.workers import remote_environment
from longform.errors import EnvironmentFaultError
from longform.settings import Settings
from tests.support.gateway_server import gateway_server
from tests.support.ssh_server import SshServer, ssh_server, sshd_path

WORKER_TIMEOUT_SEC = 240  # a worker process of a busy machine imports for long


@pytest.fixture
def sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshServer]:
    """Run an SSH server, or say why there is none."""
    if sshd_path() is None:
        assert "LONGFORM_REQUIRE_VALIDATORS" not in os.environ, "there is no sshd"
        pytest.skip("no sshd here: apt-get install openssh-server")
    (tmp_path / "ssh").mkdir(mode=0o700)
    with ssh_server(tmp_path / "ssh") as server:
        yield server


@pytest.fixture(params=["local", "existing", "ssh", "gateway"])
def setting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Yield the setting of each kind of cluster that can be had on one machine."""
    if request.param == "local":
        yield "local"
    elif request.param == "existing":
        with local_cluster(Settings(home=tmp_path)) as cluster:
            yield cluster.scheduler_address
    elif request.param == "ssh":
        yield request.getfixturevalue("sshd").cluster()
    else:
        pytest.importorskip("dask_gateway_server", reason="it is built for Linux alone")
        (tmp_path / "gateway").mkdir()
        with gateway_server(tmp_path / "gateway") as address:
            yield address


def test_every_kind_of_cluster_offers_the_same(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened by its setting alone, each has workers fit for the flow, and tells them no secret."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("LONGFORM_CLUSTER", setting)
    for name, value in (("ENGINE", "remote"), ("ENGINE_URL", "http://model:8000")):
        monkeypatch.setenv(f"LONGFORM_{name}", value)
    monkeypatch.setenv("LONGFORM_ENGINE_API_KEY", "k-of-mine")
    with open_cluster(Settings()) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(1, WORKER_TIMEOUT_SEC)
        slots = require_resources(client, slots=2)
        require_fit_workers(client, None)
        threads = set(client.nthreads().values())
        # A function of this module would be looked for on the workers, which do not have it.
        environments = list(client.run(lambda: dict(__import__("os").environ)).values())
    assert slots % 2 == 0
    assert threads == {4}
    if not setting.startswith("tcp"):  # whoever started those workers told them
        assert {seen["LONGFORM_ENGINE"] for seen in environments} == {"remote"}
    if setting.startswith(("ssh", "gateway")):
        assert all("LONGFORM_ENGINE_API_KEY" not in seen for seen in environments)
        assert all("LONGFORM_HOME" not in seen for seen in environments)


def test_a_host_that_lets_nobody_in_is_one_clear_line(
    sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An SSH server whose key is not known is refused, with what to check."""
    (tmp_path / "nothing").touch()
    setting = sshd.cluster(known_hosts=str(tmp_path / "nothing"))
    monkeypatch.setenv("LONGFORM_CLUSTER", setting)
    with pytest.raises(EnvironmentFaultError, match="no cluster over SSH at") as caught:
        open_cluster(Settings())
    assert "\n" not in str(caught.value)
    assert "?python=" in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("http://host", "names no kind of cluster"),
        ("tcp:", "names no scheduler"),
        ("ssh://", "names no host"),
        ("ssh://a:b", "port of a:b is not a number"),
        ("ssh://user:hunter2@host", "carries a password"),
        ("ssh://a?gpu=2", "no option gpu; it has"),
        ("ssh://a?gpus=two", "gpus=two is not a whole number"),
        ("ssh://a?gpus", "not an address"),
        ("kubernetes://namespace", "write kubernetes://namespace/name"),
        ("kubernetes://namespace/a?colour=red", "no option colour"),
        ("gateway+https://host?password=x", "no option password"),
    ],
)
def test_a_wrong_setting_says_what_to_write(
    setting: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is contacted; the message names the setting, and never a password."""
    monkeypatch.setenv("LONGFORM_CLUSTER", setting)
    with pytest.raises(EnvironmentFaultError, match=message) as caught, open_cluster(Settings()):
        pass
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("module", ["asyncssh", "dask_kubernetes", "dask_gateway"])
def test_a_missing_library_is_named_with_the_command(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend whose extra is not installed says which one to install."""
    settings = {
        "asyncssh": ("ssh://host", "longform[ssh]"),
        "dask_kubernetes": ("kubernetes://namespace/name", "longform[kubernetes]"),
        "dask_gateway": ("gateway+https://host", "longform[gateway]"),
    }
    setting, extra = settings[module]
    real = import_module

    def missing(name: str) -> object:
        if name.partition(".")[0] == module:
            raise ModuleNotFoundError(name=module)
        return real(name)

    monkeypatch.setattr("longform.extras.import_module", missing)
    monkeypatch.setenv("LONGFORM_CLUSTER", setting)
    with pytest.raises(EnvironmentFaultError) as caught, open_cluster(Settings()):
        pass
    assert extra in str(caught.value)


def test_every_gpu_of_every_host_gets_a_worker_of_its_own() -> None:
    """Two hosts with two GPUs are four workers, each of which sees one GPU."""
    place = cluster_url("ssh://me@first:2222,second?gpus=2&python=/opt/longform/bin/python")
    spec = ssh_specification(place, Settings())
    workers = [each["options"] for each in spec["workers"].values()]
    seen = [(each["address"], each["kwargs"]["env"]["CUDA_VISIBLE_DEVICES"]) for each in workers]
    assert seen == [("first", "0"), ("first", "1"), ("second", "0"), ("second", "1")]
    assert spec["scheduler"]["options"]["address"] == "first"
    assert spec["scheduler"]["options"]["connect_options"]["port"] == 2222
    assert {each["remote_python"] for each in workers} == {"/opt/longform/bin/python"}


def test_a_quote_does_not_reach_a_remote_shell() -> None:
    """Dask puts settings between single quotes on a command line; one that holds any is refused."""
    settings = Settings(engine_url="http://x/'; rm -rf /; '")
    with pytest.raises(EnvironmentFaultError, match="LONGFORM_ENGINE_URL contains a single quote"):
        ssh_specification(cluster_url("ssh://host"), settings)


def test_what_belongs_to_this_machine_stays_here(tmp_path: Path) -> None:
    """Folders, programs and cores of this machine, and secrets, are not sent to another."""
    own = {"home": tmp_path, "ffmpeg": "/opt/ffmpeg", "engine_api_key": "k-of-mine"}
    sent = remote_environment(Settings(**own, slots_per_worker=3))
    assert not {"LONGFORM_HOME", "LONGFORM_FFMPEG", "LONGFORM_CLUSTER"} & set(sent)
    assert "k-of-mine" not in str(sent)
    assert sent["LONGFORM_SLOTS_PER_WORKER"] == "3"
    assert "LONGFORM_ENGINE" not in sent  # the default: a host's own choice holds


def test_every_backend_is_chosen_by_its_scheme() -> None:
    """Each scheme of the table leads to its own entry."""
    for scheme, backend in BACKENDS.items():
        setting = scheme if scheme == "local" else f"{scheme}://host/name"
        assert chosen_backend(Settings(cluster=setting))[1] is backend


def test_a_local_cluster_grows_with_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room to grow, waiting chunks bring a second worker, which sees the free GPU."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    settings = Settings(home=tmp_path, slots_per_worker=1, min_workers=1, max_workers=2)
    release = tmp_path / "release"
    with local_cluster(settings) as cluster, Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(1, WORKER_TIMEOUT_SEC)
        assert len(client.nthreads()) == 1
        futures = [
            client.submit(_hold, str(release), index, resources={"GPU": 1}) for index in range(4)
        ]
        client.wait_for_workers(2, WORKER_TIMEOUT_SEC)
        seen = set(client.run(_environment_of_worker_gpu).values())
        release.touch()
        assert client.gather(futures) == [0, 1, 2, 3]
    assert seen == {"0", "1"}


def _hold(release: str, index: int) -> int:
    import time
    from pathlib import Path

    while not Path(release).exists():
        time.sleep(0.05)
    return index


def _environment_of_worker_gpu() -> str:
    import os

    return os.environ["CUDA_VISIBLE_DEVICES"]


def test_the_environment_of_the_tests_has_no_key() -> None:
    """The tests above would prove nothing where the key were set for all of them."""
    assert "LONGFORM_ENGINE_API_KEY" not in os.environ
