"""What a Prefect server should do by itself with our runs; ``rpt up`` makes it, and a script anywhere else.

    PREFECT_API_URL=http://host:4200/api python -m infra.local.automations [--notify slack-webhook/NAME]

A run whose process died without a word (a machine lost, a kill -9 of the worker) stays *Running* for ever.
Runs send heartbeats (``PREFECT_FLOWS_HEARTBEAT_FREQUENCY``, 30 s here): one that sends none for three of them
is marked *Crashed*. Its work is not lost: the next run of the recipe resumes from its checkpoint.

With a notification block (type/name, as ``prefect block ls`` shows it) two more are made: a message for
every alert of a training (the events of ``tasks/shown/alerts.py``), and for every run that fails, crashes or
is cancelled.
"""

import argparse
import os
import sys
from collections.abc import Iterable
from typing import Any

from infra.local.links import PREFECT
from infra.local.prefect_api import PrefectApi
from rpt_core.errors import EXIT_YOUR_INPUT, RecipeError, RptError

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


ALERTS = "rpt.alert.*"
"""Events of trainings that somebody should look at."""


def notifications(block_document_id: str) -> tuple[dict[str, Any], ...]:
    """Messages through a notification block: of alerts, and of runs of ours that did not complete."""
    alerts = {
        "name": "rpt: notify of alerts",
        "description": "A reward that collapses, an engine that drifts, a bound of RPT_ALERT_WHEN.",
        "trigger": _each(ALERTS, {}),
        "actions": [
            _send(
                block_document_id,
                "{{ event.resource.name }}: {{ event.payload.kind }}",
                "step {{ event.payload.step }}: {{ event.payload.text }}\n{{ event.payload.url }}",
            )
        ],
    }
    stops = {
        "name": "rpt: notify of runs that stop",
        "description": "A run that failed, crashed or was cancelled, with its last message.",
        "trigger": _each(
            [f"prefect.flow-run.{end}" for end in ("Failed", "Crashed", "Cancelled")],
            {"match_related": {"prefect.resource.role": "tag", "prefect.resource.id": "prefect.tag.rpt"}},
        ),
        "actions": [
            _send(
                block_document_id,
                "{{ flow_run.name }} ended as {{ flow_run.state.name }}",
                "{{ flow_run.state.message }}\n{{ flow_run|ui_url }}",
            )
        ],
    }
    return alerts, stops


def _each(events: str | list[str], more: dict[str, Any]) -> dict[str, Any]:
    expect = [events] if isinstance(events, str) else events
    return {"type": "event", "posture": "Reactive", "expect": expect, "threshold": 1, "within": 0,
            "for_each": ["prefect.resource.id"], **more}  # fmt: skip


def _send(block_document_id: str, subject: str, body: str) -> dict[str, Any]:
    return {"type": "send-notification", "block_document_id": block_document_id, "subject": subject,
            "body": body}  # fmt: skip


def block_id(api: PrefectApi, named: str) -> str:
    """The id of a block that is called by its type and name, such as ``slack-webhook/team``.

    Raises:
        RecipeError: the server has none of that name.
    """
    kind, _, name = named.partition("/")
    found = api.call("GET", f"/block_types/slug/{kind}/block_documents/name/{name}") if name else None
    if found is None:
        raise RecipeError(
            f"Prefect at {api.url} has no block {named!r}. Make one under Blocks in its UI, and give its "
            "type and name as `prefect block ls` shows them: slack-webhook/team"
        )
    return str(found["id"])


def ensure_automations(api: PrefectApi, wanted: Iterable[dict[str, Any]] = AUTOMATIONS) -> list[str]:
    """Make those that are missing, by name; what somebody changed or switched off stays as it is.

    Returns:
        Names of those that were made.

    Raises:
        EngineError: the server refused or does not answer.
    """
    known = {found["name"] for found in api.call("POST", "/automations/filter", {}) or ()}
    made = [one for one in wanted if one["name"] not in known]
    for one in made:
        api.call("POST", "/automations/", one)
    return [one["name"] for one in made]


def main() -> int:
    """Make them on the server that ``PREFECT_API_URL`` names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--notify", metavar="TYPE/NAME", help="a notification block to send alerts through")
    given = parser.parse_args()
    url = os.environ.get(PREFECT, "")
    if not url:
        print(
            f"set {PREFECT} to the server's address, for example http://127.0.0.1:4200/api", file=sys.stderr
        )
        return EXIT_YOUR_INPUT
    api = PrefectApi(url)
    try:
        more = notifications(block_id(api, given.notify)) if given.notify else ()
        made = ensure_automations(api, (*AUTOMATIONS, *more))
    except RptError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print("\n".join(made) or "all are there already")
    return 0


if __name__ == "__main__":
    sys.exit(main())
