"""Numerics guarded: twenty steps give the bytes they gave before, and on any machine the same losses."""

import json

import pytest
import torch

from tests.golden.training import RECORD, STEPS, machine, run

TOLERANCE = 1e-4
"""Between machines; layouts of one machine differ by 2e-7."""


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_twenty_steps_give_what_they_gave_before():
    known, found = json.loads(RECORD.read_text()), run()
    assert len(known["losses"]) == STEPS
    assert found["losses"] == pytest.approx(known["losses"], abs=TOLERANCE)
    recorded = known["digests"].get(machine())
    if recorded is None:  # another CPU or torch: bits may differ, but never from run to run
        assert run()["digest"] == found["digest"]
    else:
        assert found["digest"] == recorded, (
            f"losses agree to {TOLERANCE:g}, but not every bit is as recorded for {machine()}. If the change "
            "was meant to move numerics, run python -m tests.golden.training and look at what it writes."
        )
