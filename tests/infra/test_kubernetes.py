"""The manifests: built by kustomize, held against the schemas of every kind, and against policy."""

import copy
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.clusters.cluster_url import cluster_url
from infra.clusters.kubernetes import cluster_plan
from infra.clusters.kubernetes_spec import DaskClusterPlan
from longform import __version__
from longform.settings import Settings
from tests.support.validators import INFRA, kubernetes_schema, kustomize

FOLDER = INFRA / "kubernetes"
OVERLAYS = ("dev", "prod")


@cache
def built(overlay: str) -> tuple[dict[str, Any], ...]:
    """Return the resources of an overlay."""
    return tuple(kustomize(FOLDER / "overlays" / overlay))


def the(overlay: str, kind: str, name: str) -> dict[str, Any]:
    """Return one resource."""
    (found,) = [
        each for each in built(overlay) if each["kind"] == kind and each["metadata"]["name"] == name
    ]
    return found


def pods(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pod specifications within a resource."""
    if resource["kind"] == "Deployment":
        yield resource["spec"]["template"]["spec"]
    if resource["kind"] == "DaskCluster":
        yield resource["spec"]["scheduler"]["spec"]
        yield resource["spec"]["worker"]["spec"]


def breaches(pod: dict[str, Any]) -> Iterator[str]:
    """Yield what keeps a pod out of a namespace under the `restricted` standard, and more."""
    security = pod.get("securityContext", {})
    if security.get("runAsNonRoot") is not True or security.get("runAsUser") != 10001:
        yield "runs as root"
    if security.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        if own.get("readOnlyRootFilesystem") is not True:
            yield f"{container['name']} can write to its image"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{container['name']} can gain privileges"
        if own.get("capabilities") != {"drop": ["ALL"]}:
            yield f"{container['name']} keeps capabilities"
        if "memory" not in container.get("resources", {}).get("limits", {}):
            yield f"{container['name']} has no limit of memory"
        for variable in container.get("env", ()):
            name = variable["name"]
            if any(word in name for word in ("PASSWORD", "SECRET", "TOKEN", "KEY")) and (
                "value" in variable
            ):
                yield f"{name} stands in the manifest"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_resource_follows_its_schema(overlay: str) -> None:
    """Strictly: a field that its kind does not have is an error."""
    kinds = {resource["kind"] for resource in built(overlay)}
    assert {"DaskCluster", "DaskAutoscaler", "Deployment", "NetworkPolicy"} <= kinds
    for resource in built(overlay):
        assert kubernetes_schema(resource) == [], resource["metadata"]["name"]


PLANTS = [
    ("Deployment", "prefect-worker", "spec.replicas", "two"),
    ("Deployment", "model-service", "spec.template.spec.containers.0.imagee", "longform"),
    ("NetworkPolicy", "default-deny", "spec.policyTypess", ["Ingress"]),
    ("PersistentVolumeClaim", "longform-data", "spec.accessModes", "ReadWriteMany"),
    ("DaskCluster", "longform", "spec.worker.replicas", "many"),
    ("DaskCluster", "longform", "spec.worker.spec.containers.0.imagee", "longform"),
    ("DaskCluster", "longform", "spec.scheduler.service.ports.0.port", "8786/tcp"),
    ("DaskAutoscaler", "longform", "spec.maximum", "4"),
]


@pytest.mark.parametrize(("kind", "name", "path", "value"), PLANTS)
def test_the_schemas_find_what_is_wrong(kind: str, name: str, path: str, value: object) -> None:
    """Each planted fault, a wrong type or a misspelt field, is reported."""
    resource = copy.deepcopy(the("prod", kind, name))
    *way, last = path.split(".")
    place: Any = resource
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    assert kubernetes_schema(resource) != []


@pytest.mark.parametrize(
    ("file", "right", "wrong"),
    [
        ("base/kustomization.yaml", "storage.yaml", "sorage.yaml"),
        ("overlays/prod/kustomization.yaml", "patches:", "patchez:"),
        ("overlays/prod/gpu-nodes.yaml", "op: add", "op: append"),
        ("overlays/dev/storage.yaml", "longform-data", "no-such-claim"),
    ],
)
def test_kustomize_finds_what_is_wrong(tmp_path: Path, file: str, right: str, wrong: str) -> None:
    """A planted fault in a base, an overlay or a patch keeps the overlays from being built."""
    folder = tmp_path / "kubernetes"
    shutil.copytree(FOLDER, folder)
    text = (folder / file).read_text()
    assert right in text
    (folder / file).write_text(text.replace(right, wrong, 1))
    overlay = "prod" if "prod" in file else "dev"
    with pytest.raises(subprocess.CalledProcessError):
        kustomize(folder / "overlays" / overlay)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_pod_has_rights_it_does_not_need(overlay: str) -> None:
    """Every pod is non-root, read-only and confined; only the flow worker has a token."""
    for resource in built(overlay):
        for pod in pods(resource):
            name = resource["metadata"]["name"]
            assert list(breaches(pod)) == [], name
            assert pod["automountServiceAccountToken"] is (name == "prefect-worker"), name


@pytest.mark.parametrize(
    "change",
    [
        {"securityContext": {}},
        {"containers": [{"name": "c", "securityContext": {}, "resources": {}}]},
        {"containers": [{"name": "c", "env": [{"name": "API_KEY", "value": "x"}]}]},
    ],
)
def test_a_pod_with_rights_is_found(change: dict[str, Any]) -> None:
    """The check of rights reports each planted breach."""
    pod = the("prod", "Deployment", "model-service")["spec"]["template"]["spec"]
    assert list(breaches(pod | change)) != []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_secrets_and_names_are_references(overlay: str) -> None:
    """No Secret is in the files, and each claim, account and config map that is used exists."""
    have = {(each["kind"], each["metadata"]["name"]) for each in built(overlay)}
    assert not [name for kind, name in have if kind == "Secret"]
    for pod in (pod for resource in built(overlay) for pod in pods(resource)):
        for volume in pod["volumes"]:
            if claim := volume.get("persistentVolumeClaim"):
                assert ("PersistentVolumeClaim", claim["claimName"]) in have
        if account := pod.get("serviceAccountName"):
            assert ("ServiceAccount", account) in have
        for source in (each for c in pod["containers"] for each in c.get("envFrom", ())):
            if reference := source.get("configMapRef"):
                assert ("ConfigMap", reference["name"]) in have


def test_gpus_are_asked_for_in_production_and_not_in_development() -> None:
    """Each worker of production has a GPU of its own; development runs without one."""
    for overlay, gpus in (("prod", "1"), ("dev", None)):
        cluster = the(overlay, "DaskCluster", "longform")
        resources = cluster["spec"]["worker"]["spec"]["containers"][0]["resources"]
        assert resources["limits"].get("nvidia.com/gpu") == gpus
        assert resources["requests"].get("nvidia.com/gpu") == gpus


def test_production_runs_this_version() -> None:
    """The image of production is pinned to the version of the source beside it."""
    images = {
        container["image"]
        for resource in built("prod")
        for pod in pods(resource)
        for container in pod["containers"]
    }
    assert images == {f"longform:{__version__}-cuda"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_is_reachable_unless_it_is_named(overlay: str) -> None:
    """All traffic is denied first, and no policy lets the whole world in."""
    policies = [each["spec"] for each in built(overlay) if each["kind"] == "NetworkPolicy"]
    deny = the(overlay, "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for rule in (rule for policy in policies for rule in policy.get("ingress", ())):
        assert rule.get("from"), "an ingress rule without a source"


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Say whether a label selector matches a pod."""
    wanted = selector.get("matchLabels", {})
    for rule in selector.get("matchExpressions", ()):
        if rule["key"] not in labels:
            return False
        if rule["operator"] == "In" and labels[rule["key"]] not in rule["values"]:
            return False
    return all(labels.get(key) == value for key, value in wanted.items())


def allows(direction: str, pod: dict[str, str], peer: dict[str, str], port: int) -> bool:
    """Say whether some policy lets a pod take or make a connection with a peer next to it."""
    way, side = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}[direction]
    policies = [each["spec"] for each in built("prod") if each["kind"] == "NetworkPolicy"]
    rules = [
        rule
        for policy in policies
        if direction in policy["policyTypes"] and selects(policy["podSelector"], pod)
        for rule in policy.get(way, ())
        if all(port == named["port"] for named in rule.get("ports", ()))
    ]
    return any(
        selects(end["podSelector"], peer)
        for rule in rules
        for end in rule.get(side, ())
        if "podSelector" in end and "namespaceSelector" not in end
    )


PART = {"app.kubernetes.io/part-of": "longform"}
PODS = {
    "scheduler": PART | {"dask.org/cluster-name": "longform", "dask.org/component": "scheduler"},
    "worker": PART | {"dask.org/cluster-name": "longform", "dask.org/component": "worker"},
    "flows": PART | {"app.kubernetes.io/name": "prefect-worker"},
    "model": PART | {"app.kubernetes.io/name": "model-service"},
    "prefect": {
        "app.kubernetes.io/part-of": "prefect",
        "app.kubernetes.io/name": "prefect-server",
    },
}


@pytest.mark.parametrize(
    ("caller", "called", "port", "may"),
    [
        ("flows", "scheduler", 8786, True),
        ("flows", "prefect", 4200, True),
        ("worker", "scheduler", 8786, True),
        ("worker", "worker", 40_123, True),
        ("scheduler", "worker", 40_123, True),
        ("worker", "prefect", 4200, True),
        ("worker", "model", 8000, True),
        ("worker", "model", 22, False),
        ("model", "scheduler", 8786, False),
        ("prefect", "scheduler", 8786, False),
        ("worker", "flows", 8080, False),
    ],
)
def test_parts_reach_each_other_where_they_must(
    caller: str, called: str, port: int, may: bool
) -> None:
    """Both ends of each way that a run takes are open, and no others."""
    out = allows("Egress", PODS[caller], PODS[called], port)
    into = allows("Ingress", PODS[called], PODS[caller], port)
    assert (out and into) is may


def test_the_cluster_of_the_manifests_is_the_one_of_the_code() -> None:
    """The DaskCluster that stays and the one that is made for a run do not drift apart."""
    plan = DaskClusterPlan(name="longform", namespace="any", image="longform")
    wanted = plan.resource(Settings())
    del wanted["metadata"]["namespace"]
    assert yaml.safe_load((FOLDER / "base" / "dask-cluster.yaml").read_text()) == wanted, (
        yaml.safe_dump(wanted, sort_keys=False)
    )


def test_a_cluster_for_one_run_follows_the_schema() -> None:
    """What the setting asks for is a valid DaskCluster under a name of its own, without secrets."""
    place = cluster_url(
        "kubernetes://speech/longform?image=longform:1&gpus=2&memory=32Gi&secret=keys&claim=disk"
    )
    settings = Settings(workers=3, slots_per_worker=4, engine_api_key="k-of-mine")
    resource = cluster_plan(place, settings).resource(settings)
    worker = resource["spec"]["worker"]
    (container,) = worker["spec"]["containers"]
    assert kubernetes_schema(resource) == []
    assert list(breaches(worker["spec"])) == []
    assert resource["metadata"]["namespace"] == "speech"
    assert resource["metadata"]["name"].startswith("longform-")
    assert worker["replicas"] == 3
    assert container["resources"]["limits"] == {"memory": "32Gi", "nvidia.com/gpu": "2"}
    assert container["envFrom"] == [{"secretRef": {"name": "keys", "optional": True}}]
    assert "GPU=1 IO=2" in container["args"]
    assert container["args"][container["args"].index("--nthreads") + 1] == "6"
    assert "k-of-mine" not in str(resource)


def test_values_of_the_charts_fit_the_manifests() -> None:
    """The charts run this version of our image, confined, from secrets, on the pool deployed to."""
    server, worker = (
        yaml.safe_load((FOLDER / "helm" / f"prefect-{name}.yaml").read_text())
        for name in ("server", "worker")
    )
    images = (server["global"]["prefect"]["image"], worker["worker"]["image"])
    assert {image["prefectTag"] for image in images} == {f"{__version__}-cpu"}
    for part in (server["server"], server["backgroundServices"], worker["worker"]):
        assert part["command"] == ["/usr/bin/env"], "the image has no other entrypoint"
        assert "/tmp" not in [each["mountPath"] for each in part.get("extraVolumeMounts", ())]
        inside = part["containerSecurityContext"]
        assert part["podSecurityContext"]["runAsNonRoot"] is True
        assert inside["readOnlyRootFilesystem"] is True
        assert inside["capabilities"] == {"drop": ["ALL"]}
    assert server["externalDatabase"]["existingSecret"] == server["secret"]["name"]
    assert server["secret"]["create"] is False
    pool = yaml.safe_load((INFRA.parent / "prefect.yaml").read_text())["deployments"][0]
    assert worker["worker"]["config"]["workPool"] == pool["work_pool"]["name"]
    settings = the("prod", "ConfigMap", "longform-settings")["data"]
    api_url = worker["worker"]["selfHostedServerApiConfig"]["apiUrl"]
    assert api_url == settings["PREFECT_API_URL"]
