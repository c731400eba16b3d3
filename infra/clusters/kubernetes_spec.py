"""The `DaskCluster` resource of the Dask operator: the operator's own, locked down, with GPUs.

`infra/kubernetes/base` holds the same resource for a cluster that stays.
"""

from typing import Any

from infra.clusters.workers import (
    DASK_ENVIRONMENT,
    IO_SLOTS_PER_WORKER,
    MALLOC,
    num_threads,
    remote_environment,
)
from longform.extras import require_extra
from longform.params import FrozenModel
from longform.settings import Settings

LABELS = {"app.kubernetes.io/name": "longform", "app.kubernetes.io/part-of": "longform"}
USER_ID = 10001  # the user of the image
DATA_DIR, SCRATCH_DIR, BLOCK_DIR = "/data", "/tmp", "/blocks"  # in the container
POD_SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": USER_ID,
    "runAsGroup": USER_ID,
    "fsGroup": USER_ID,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
SCHEDULER = {
    "args": ["dask", "scheduler", "--host", "0.0.0.0"],  # in its pod
    "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
}


class DaskClusterPlan(FrozenModel):
    """What is asked of Kubernetes. Secrets are named here, and stay where they are.

    `secret` holds variables (LONGFORM_ENGINE_API_KEY, AWS_SECRET_ACCESS_KEY and the like) for
    scheduler and workers; `claim` is the volume that all pods share.
    """

    name: str
    namespace: str
    image: str
    secret: str = "longform-secrets"  # its name
    claim: str = "longform-data"
    gpus_per_worker: int = 1  # 0: the CPU is declared as the GPU
    workers: int = 1
    worker_cpus: int = 4
    worker_memory: str = "16Gi"

    def resource(self, settings: Settings) -> dict[str, Any]:
        """Return the resource as Kubernetes takes it.

        Raises:
            EnvironmentFaultError: dask-kubernetes is missing.
        """
        operator = require_extra("dask_kubernetes.operator", "this kind of cluster", "kubernetes")
        resource: dict[str, Any] = operator.make_cluster_spec(
            self.name, image=self.image, n_workers=self.workers, env=_variables(settings)
        )
        resource["metadata"] |= {"namespace": self.namespace, "labels": LABELS}
        self._patch(resource["spec"]["scheduler"]["spec"], SCHEDULER)
        self._patch(resource["spec"]["worker"]["spec"], self._worker(settings))
        return resource

    def _patch(self, pod: dict[str, Any], container: dict[str, Any]) -> None:
        pod |= {
            "automountServiceAccountToken": False,
            "securityContext": POD_SECURITY,
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": self.claim}},
                {"name": "scratch", "emptyDir": {}},
                {"name": "blocks", "emptyDir": {}},
            ],
        }
        pod["containers"][0] |= container | {
            "imagePullPolicy": "IfNotPresent",
            "securityContext": CONTAINER_SECURITY,
            "envFrom": [{"secretRef": {"name": self.secret, "optional": True}}],
            "volumeMounts": [
                {"name": "data", "mountPath": DATA_DIR},
                {"name": "scratch", "mountPath": SCRATCH_DIR},
                {"name": "blocks", "mountPath": BLOCK_DIR},
            ],
        }

    def _worker(self, settings: Settings) -> dict[str, Any]:
        gpus = {"nvidia.com/gpu": str(self.gpus_per_worker)} if self.gpus_per_worker else {}
        memory = {"memory": self.worker_memory}
        return {
            "args": [
                *("dask", "worker", "--name", "$(DASK_WORKER_NAME)"),
                *("--nthreads", str(num_threads(settings)), "--memory-limit", "0"),
                *("--resources", f"GPU=1 IO={IO_SLOTS_PER_WORKER}", "--no-dashboard"),
                *("--local-directory", SCRATCH_DIR),
            ],
            "ports": [],  # without a dashboard it has none that are known beforehand
            "resources": {
                "requests": {"cpu": str(self.worker_cpus)} | memory | gpus,
                "limits": memory | gpus,
            },
        }


def _variables(settings: Settings) -> dict[str, str]:
    of_the_pod = {
        "HOME": SCRATCH_DIR,
        "LONGFORM_HOME": DATA_DIR,
        "LONGFORM_BLOCK_DIR": BLOCK_DIR,
    }
    values = remote_environment(settings) | MALLOC | DASK_ENVIRONMENT | of_the_pod
    return dict(sorted(values.items()))
