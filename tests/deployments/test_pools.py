"""What the pools give to their runs."""

from prefect.workers.process import ProcessWorker

from deployments.pools import GPU, LOCAL, run_settings, with_environment


def test_settings_follow_the_pool() -> None:
    """The GPU pool takes its own values first; what is empty or not set is left to the worker."""
    environment = {
        "LONGFORM_CLUSTER": "tcp://cpu:8786",
        "LONGFORM_GPU_CLUSTER": "tcp://gpu:8786",
        "LONGFORM_CHUNK_STORE": "s3://bucket/chunks",
        "LONGFORM_ENGINE": "",
        "LONGFORM_HOME": "/home/operator",
    }
    both = {"LONGFORM_CHUNK_STORE": "s3://bucket/chunks"}
    assert run_settings(LOCAL, environment) == both | {"LONGFORM_CLUSTER": "tcp://cpu:8786"}
    assert run_settings(GPU, environment) == both | {"LONGFORM_CLUSTER": "tcp://gpu:8786"}


def test_variables_of_a_pool_are_added_to() -> None:
    """What somebody has set on a pool stays, unless it is given anew; the original is untouched."""
    template = ProcessWorker.get_default_base_job_template()
    first = with_environment(template, {"A": "1", "B": "1"})
    second = with_environment(first, {"B": "2"})
    assert second["variables"]["properties"]["env"]["default"] == {"A": "1", "B": "2"}
    assert "default" not in template["variables"]["properties"]["env"]
    assert with_environment(template, {}) is template
