"""Alerts of a stage: said in its log, sent to Prefect as events, and handed to a command of the user's.

    RPT_ALERT='curl -sd @- https://hooks.example/rpt'    gets one JSON object on standard input
    RPT_ALERT_WHEN='reward_mean<0.05 answer_tokens>400'  bounds beside the built-in ones

Each kind is told once an attempt. A command that fails is one warning: a view must not end a training.
"""

import json
import logging
import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prefect.events import emit_event

from rpt_core.addresses import without_password
from rpt_core.artifacts.build import METRICS_FILE
from rpt_core.errors import RecipeError, RptError, brief
from rpt_core.train.rl.alarms import Alarm, alarms, parse_rules
from tasks.shown.views import best_effort, prefect_tags
from tasks.shown.watch import tell

COMMAND, RULES = "RPT_ALERT", "RPT_ALERT_WHEN"
EVENT = "rpt.alert"
STOPPED = "run-stopped"
_COMMAND_SECONDS = 10.0
_logger = logging.getLogger("rpt.alerts")


class AlertWatch:
    """Looks at the metrics a stage writes, and at how it ends; used as a context around the launch.

    Raises:
        RecipeError: the user's command or rules cannot be read; before anything runs.
    """

    def __init__(self, stage: str, fingerprint: str, out: Path, mismatch_nats_max: float | None) -> None:
        """Watch the stage that writes into ``out``.

        Args:
            stage: Its name.
            fingerprint: Of what it makes.
            out: Where it writes its metrics.
            mismatch_nats_max: Of a training by reinforcement; None for other stages.
        """
        self.stage, self.fingerprint, self.file = stage, fingerprint, out / METRICS_FILE
        self.mismatch_nats_max = mismatch_nats_max
        self.rules = parse_rules(os.environ.get(RULES, ""))
        self.command = _command(os.environ.get(COMMAND, ""))
        self.rows: list[Mapping[str, float]] = []
        self.read_bytes = 0
        self.told: set[tuple[str, str]] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.poll()
            return
        text = str(error) if isinstance(error, RptError) else brief(error)
        self._run({"kind": STOPPED, "error": type(error).__name__, "text": without_password(text)})

    def poll(self) -> None:
        """Read what was written since the last look; cheap where nothing was."""
        if not self._read():
            return
        for alarm in alarms(self.rows, self.mismatch_nats_max, self.rules):
            if (alarm.kind, alarm.metric) not in self.told:
                self.told.add((alarm.kind, alarm.metric))
                self._raise(alarm)

    def _read(self) -> bool:
        """Take in whole new lines; whether there were any."""
        if not self.file.exists() or self.file.stat().st_size == self.read_bytes:
            return False
        data = self.file.read_bytes()
        if len(data) < self.read_bytes:  # cut back to a checkpoint
            self.rows, self.read_bytes = [], 0
        whole = data[self.read_bytes : data.rfind(b"\n") + 1]
        self.rows += [json.loads(line) for line in whole.splitlines()]
        self.read_bytes += len(whole)
        return bool(whole)

    def _raise(self, alarm: Alarm) -> None:
        tell(f"{self.stage}: alert at step {alarm.step}: {alarm.text}")
        body = {"kind": alarm.kind, "step": alarm.step, "text": alarm.text, "metric": alarm.metric,
                "value": alarm.value, "bound": alarm.bound}  # fmt: skip
        if tags := prefect_tags():
            best_effort("alert", lambda: self._emit(alarm.kind, {**body, **self._who(tags)}))
        self._run(body)

    def _emit(self, kind: str, body: Mapping[str, Any]) -> None:
        resource = {
            "prefect.resource.id": f"rpt.training.{self.fingerprint[:24]}",
            "prefect.resource.name": self.stage,
        }
        emit_event(event=f"{EVENT}.{kind}", resource=resource, payload=dict(body))

    def _who(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Whose alert it is, with its run and page in Prefect where it has them."""
        return {
            "stage": self.stage,
            "fingerprint": self.fingerprint,
            "flow_run_id": tags.get("prefect.flow_run_id", ""),
            "url": tags.get("prefect.url", ""),
        }

    def _run(self, body: Mapping[str, Any]) -> None:
        """Hand an alert to the user's command."""
        if not self.command:
            return
        told = json.dumps({**body, **self._who(prefect_tags())})
        try:
            done = subprocess.run(  # noqa: S603  (the user's own command)
                self.command,
                input=told,
                text=True,
                capture_output=True,
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            _logger.warning("%s was not carried out for %s: %s", COMMAND, body["kind"], brief(error))
            return
        if done.returncode:
            said = done.stderr.strip()[-200:]
            _logger.warning("%s ended with %d for %s: %s", COMMAND, done.returncode, body["kind"], said)


def _command(text: str) -> list[str]:
    """The words of the user's command.

    Raises:
        RecipeError: a quote in it is not closed.
    """
    try:
        return shlex.split(text)
    except ValueError as error:
        raise RecipeError(
            f"{COMMAND} cannot be read as a command: {error}. Write it as for a shell."
        ) from None
