"""What a Prefect server should do by itself with our runs; ``rpt up`` makes it, and a script anywhere else.

    PREFECT_API_URL=http://host:4200/api python -m infra.local.automations

A run whose process died without a word (a machine lost, a kill -9 of the worker) stays *Running* for ever.
Runs send heartbeats (``PREFECT_FLOWS_HEARTBEAT_FREQUENCY``, 30 s here): one that sends none for three of them
is marked *Crashed*. Its work is not lost: the next run of the recipe resumes from its checkpoint.
"""

import os
import sys
from typing import Any

from infra.local.links import PREFECT
from infra.local.prefect_api import PrefectApi
from rpt_core.errors import EXIT_YOUR_INPUT

HEARTBEAT_SECONDS = 30
_ENDS = ("Completed", "Failed", "Cancelled", "Crashed")
ZOMBIES: dict[str, Any] = {
    "name": "rpt: mark runs without a heartbeat as crashed",
    "description": "A run whose process is gone is no longer shown as running. A rerun resumes its work.",
    "enabled": True,
    "trigger": {
        "type": "event",
        "posture": "Proactive",
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.rpt"},
        "for_each": ["prefect.resource.id"],
        "after": ["prefect.flow-run.heartbeat"],
        "expect": ["prefect.flow-run.heartbeat", *(f"prefect.flow-run.{end}" for end in _ENDS)],
        "threshold": 1,
        "within": 3 * HEARTBEAT_SECONDS,
    },
    "actions": [
        {
            "type": "change-flow-run-state",
            "state": "CRASHED",
            "name": "Crashed",
            "message": "No heartbeat for 90 s: its process is gone. A rerun resumes its work.",
        }
    ],
}
AUTOMATIONS = (ZOMBIES,)


def ensure_automations(api: PrefectApi) -> list[str]:
    """Make those that are missing, by name; what somebody changed or switched off stays as it is.

    Returns:
        Names of those that were made.

    Raises:
        EngineError: the server refused or does not answer.
    """
    known = {found["name"] for found in api.call("POST", "/automations/filter", {}) or ()}
    made = [one for one in AUTOMATIONS if one["name"] not in known]
    for one in made:
        api.call("POST", "/automations/", one)
    return [one["name"] for one in made]


def main() -> int:
    """Make them on the server that ``PREFECT_API_URL`` names."""
    url = os.environ.get(PREFECT, "")
    if not url:
        print(
            f"set {PREFECT} to the server's address, for example http://127.0.0.1:4200/api", file=sys.stderr
        )
        return EXIT_YOUR_INPUT
    made = ensure_automations(PrefectApi(url))
    print("\n".join(made) or "all are there already")
    return 0


if __name__ == "__main__":
    sys.exit(main())
