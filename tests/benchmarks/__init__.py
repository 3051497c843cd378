"""Races and measurements; run by hand, never part of the test command."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
for _name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
    os.environ.setdefault(_name, "1")
