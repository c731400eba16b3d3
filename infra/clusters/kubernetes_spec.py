"""The `DaskCluster` resource of the Dask operator: scheduler and GPU workers, locked down.

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
from longform.params import FrozenModel
from longform.settings import Settings

API_VERSION = "kubernetes.dask.org/v1"
SCHEDULER_PORT, DASHBOARD_PORT = 8786, 8787
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
        """Return the resource as Kubernetes takes it."""
        labels = {"app.kubernetes.io/name": "longform", "app.kubernetes.io/part-of": "longform"}
        return {
            "apiVersion": API_VERSION,
            "kind": "DaskCluster",
            "metadata": {"name": self.name, "namespace": self.namespace, "labels": labels},
            "spec": {
                "scheduler": {
                    "spec": self._pod(self._scheduler(settings)),
                    "service": self._service(),
                },
                "worker": {
                    "replicas": self.workers,
                    "spec": self._pod(self._worker(settings)),
                },
            },
        }

    def _pod(self, container: dict[str, Any]) -> dict[str, Any]:
        return {
            "automountServiceAccountToken": False,
            "securityContext": POD_SECURITY,
            "containers": [container | self._common()],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": self.claim}},
                {"name": "scratch", "emptyDir": {}},
                {"name": "blocks", "emptyDir": {}},
            ],
        }

    def _common(self) -> dict[str, Any]:
        return {
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "securityContext": CONTAINER_SECURITY,
            "envFrom": [{"secretRef": {"name": self.secret, "optional": True}}],
            "volumeMounts": [
                {"name": "data", "mountPath": DATA_DIR},
                {"name": "scratch", "mountPath": SCRATCH_DIR},
                {"name": "blocks", "mountPath": BLOCK_DIR},
            ],
        }

    def _scheduler(self, settings: Settings) -> dict[str, Any]:
        probe = {"httpGet": {"path": "/health", "port": "http-dashboard"}, "periodSeconds": 10}
        return {
            "name": "scheduler",
            "args": ["dask", "scheduler", "--host", "0.0.0.0"],  # in its pod
            "ports": [
                {"name": "tcp-comm", "containerPort": SCHEDULER_PORT, "protocol": "TCP"},
                {"name": "http-dashboard", "containerPort": DASHBOARD_PORT, "protocol": "TCP"},
            ],
            "env": _variables(settings),
            "readinessProbe": probe,
            "livenessProbe": probe | {"initialDelaySeconds": 15},
            "resources": {
                "requests": {"cpu": "500m", "memory": "1Gi"},
                "limits": {"memory": "4Gi"},
            },
        }

    def _worker(self, settings: Settings) -> dict[str, Any]:
        gpus = {"nvidia.com/gpu": str(self.gpus_per_worker)} if self.gpus_per_worker else {}
        memory = {"memory": self.worker_memory}
        return {
            "name": "worker",
            "args": [
                *("dask", "worker", "--name", "$(DASK_WORKER_NAME)"),
                *("--nthreads", str(num_threads(settings)), "--memory-limit", "0"),
                *("--resources", f"GPU=1 IO={IO_SLOTS_PER_WORKER}", "--no-dashboard"),
                *("--local-directory", SCRATCH_DIR),
            ],
            "env": _variables(settings),
            "resources": {
                "requests": {"cpu": str(self.worker_cpus)} | memory | gpus,
                "limits": memory | gpus,
            },
        }

    def _service(self) -> dict[str, Any]:
        return {
            "type": "ClusterIP",
            "selector": {
                "dask.org/cluster-name": self.name,
                "dask.org/component": "scheduler",
            },
            "ports": [
                {
                    "name": "tcp-comm",
                    "protocol": "TCP",
                    "port": SCHEDULER_PORT,
                    "targetPort": "tcp-comm",
                },
                {
                    "name": "http-dashboard",
                    "protocol": "TCP",
                    "port": DASHBOARD_PORT,
                    "targetPort": "http-dashboard",
                },
            ],
        }


def _variables(settings: Settings) -> list[dict[str, str]]:
    of_the_pod = {
        "HOME": SCRATCH_DIR,
        "LONGFORM_HOME": DATA_DIR,
        "LONGFORM_BLOCK_DIR": BLOCK_DIR,
    }
    values = remote_environment(settings) | MALLOC | DASK_ENVIRONMENT | of_the_pod
    return [{"name": name, "value": value} for name, value in sorted(values.items())]
