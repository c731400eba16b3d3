"""The cluster that is opened while the server starts: used, or closed, and never left behind."""

import os
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from cli import shared_cluster
from cli.run_request import Request
from cli.shared_cluster import SharedCluster
from longform.errors import EnvironmentFaultError
from longform.params import parse_params
from longform.settings import Settings

ADDRESS = "tcp://127.0.0.1:1"
SETTING = "LONGFORM_CLUSTER"


@dataclass
class Machine:
    """Opens clusters, and knows which are open."""

    fails: bool = False
    open: list["Cluster"] = field(default_factory=list)
    num_opened: int = 0

    def cluster(self, settings: Settings) -> "Cluster":
        """Open one."""
        if self.fails:
            raise EnvironmentFaultError("there is no room for it")
        self.num_opened += 1
        self.open.append(Cluster(self))
        return self.open[-1]


@dataclass(eq=False)
class Cluster:
    """A cluster without workers."""

    machine: Machine
    scheduler_address: str = ADDRESS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        self.machine.open.remove(self)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine whose clusters load no model."""
    machine = Machine()
    monkeypatch.setattr(shared_cluster, "_open", machine.cluster)
    monkeypatch.setattr(SharedCluster, "_load", lambda _: None)
    monkeypatch.setenv(SETTING, "local")
    return machine


def request(*media: str, **settings: Any) -> Request:
    """Return what a call of the command asks for."""
    return Request(
        media=media,
        params=parse_params({}),
        settings=Settings(**settings),
        overrides={},
        output_dir=None,
        formats=("json",),
        use_cache=True,
        as_json=False,
        print_text=False,
        quiet=True,
        verbose=False,
        is_brief=False,
    )


def test_what_was_opened_early_is_used_and_closed(machine: Machine) -> None:
    """The runs of one recording find it in the environment; nothing is open afterwards."""
    asked = request("a.wav")
    with SharedCluster(asked) as cluster:
        cluster.begin()
        cluster.share(asked.settings)
        assert os.environ[SETTING] == ADDRESS
        assert len(machine.open) == 1
    assert machine.open == []


def test_other_settings_need_another_cluster(machine: Machine) -> None:
    """The server knows of more slots: what was opened without them is closed before the run."""
    with SharedCluster(request("a.wav")) as cluster:
        cluster.begin()
        cluster.share(Settings(slots_per_worker=3))
        assert machine.open == []
        assert os.environ[SETTING] == "local"
    assert machine.num_opened == 1


def test_several_recordings_share_one_under_the_settings_in_force(machine: Machine) -> None:
    """The early one does not fit any more, so that a new one is opened for all of them."""
    with SharedCluster(request("a.wav", "b.wav")) as cluster:
        cluster.begin()
        cluster.share(Settings(slots_per_worker=3))
        assert machine.num_opened == 2
        assert len(machine.open) == 1
        assert os.environ[SETTING] == ADDRESS
    assert machine.open == []


def test_what_cannot_be_opened_early_is_left_to_the_run(machine: Machine) -> None:
    """It will fail again where somebody is told; one recording needs no shared one."""
    machine.fails = True
    asked = request("a.wav")
    with SharedCluster(asked) as cluster:
        cluster.begin()
        cluster.share(asked.settings)
        assert os.environ[SETTING] == "local"


def test_an_interrupt_while_the_server_starts_leaves_nothing_open(machine: Machine) -> None:
    """Whoever leaves before the settings are known has the cluster closed all the same."""
    with suppress(KeyboardInterrupt), SharedCluster(request("a.wav")) as cluster:
        cluster.begin()
        raise KeyboardInterrupt
    assert machine.num_opened == 1
    assert machine.open == []


@pytest.mark.parametrize("media", [("a.wav",), ("a.wav", "b.wav")])
def test_a_cluster_elsewhere_is_never_opened_here(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, media: tuple[str, ...]
) -> None:
    """A setting that names a scheduler is used as it is."""
    monkeypatch.setenv(SETTING, "tcp://elsewhere:8786")
    asked = request(*media)
    with SharedCluster(asked) as cluster:
        cluster.begin()
        cluster.share(asked.settings)
    assert machine.num_opened == 0
    assert os.environ[SETTING] == "tcp://elsewhere:8786"
