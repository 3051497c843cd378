"""What every test stands on: its own services, one thread, no stack of the developer's."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from rpt_core.artifacts.interpreters import harness_python, vllm_python
from rpt_core.errors import CapacityError

# What a property costs is no property: a machine busy with other work must not fail it.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")

ROOT = Path(__file__).resolve().parents[1]
os.environ.update(
    {
        # stages made up by tests are loaded in child processes, which never look into the working folder
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        "PREFECT_API_URL": "",  # stronger than a .env that `rpt up` may have written
        "MLFLOW_TRACKING_URI": "",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
)


ENVIRONMENTS = {"vllm": vllm_python, "harness": harness_python}
"""By marker, what gives the interpreter of an environment of its own."""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tests that need an environment of its own are skipped by name where it is not."""
    for marker, python in ENVIRONMENTS.items():
        if item.get_closest_marker(marker):
            try:
                python()
            except CapacityError as missing:
                pytest.skip(str(missing))


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """One Prefect server for all tests that run flows (its start takes 11 to 21 s)."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield
