"""NRT: a thought earns what it adds to a measure of the true tokens' likelihood (arXiv 2602.11549).

    r = max(0, f(c) - f(b)),   gradient: A grad log p(z | x) + grad f(c)

f is one of the forms of :mod:`rpt_core.objectives.likelihood`; ``surprise``, the default, weighs the tokens
that are unlikely without a thought. ``c`` and ``b`` come from one pass: the policy after the thought, and
after an empty one. Advantages are those of a group divided by its deviation (``loss=grpo``); ``grad f(c)``
teaches the truth, token by token, with ``truth_weight``. The paper's loss on the tags of a thought (0.3) is
left out: drawing ends with the thought. A thought that never ends earns 0.

Failures: names made up in open text; a token that nothing predicts decides alone (its weight stops at 8
nats).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpt_core.objectives.evidence import Evidence, Wanted
from rpt_core.objectives.likelihood import Form, slopes, value
from rpt_core.objectives.next_token.thought import (
    Logprobs,
    ThoughtAndTruth,
    by_group,
    settled_groups,
)
from rpt_core.objectives.objective import Asked, Drawn, Verdict, Verdicts
from rpt_core.objectives.verdicts import learnt
from rpt_core.recipes.objectives import NrtObjective


@dataclass(frozen=True)
class Nrt(ThoughtAndTruth):
    """How a next-token question is rewarded under NRT."""

    settings: NrtObjective

    def wanted(self, asked: Sequence[Asked], drawn: Drawn) -> Wanted:
        """The true tokens after every thought that ended, and after an empty one."""
        return Wanted(tails=self.tails(asked, drawn), empty_tails=self.empty_tails(asked))

    def settled(self, verdicts: Verdicts, evidence: Evidence) -> Verdicts:
        """Every thought's reward, and the truth's weights after it."""
        groups = by_group(verdicts, evidence)
        return settled_groups(verdicts, (self._rewarded(*group) for group in groups))

    def _rewarded(self, group: list[Verdict], tails: Sequence[Logprobs], without: Logprobs) -> list[Verdict]:
        form, weight = self.settings.form, self.settings.truth_weight
        return [
            learnt(
                replace(verdict, score=kept_gain(form, tail, without)),
                tail,
                weight,
                slopes(form, tail, without) if tail else (),
            )
            for verdict, tail in zip(group, tails, strict=True)
        ]


def kept_gain(form: Form, given: Sequence[float], without: Sequence[float]) -> float:
    """``max(0, f(c) - f(b))``; 0 where there is no such gain.

    Example:
        >>> import math
        >>> given, without = ([math.log(c) for c in x] for x in ((0.9, 0.5, 0.8), (0.4, 0.1, 0.6)))
        >>> round(kept_gain("surprise", given, without), 6), kept_gain("log", (), without)
        (0.397175, 0.0)
    """
    own, others = value(form, given, without), value(form, without, without)
    return 0.0 if own is None or others is None else max(0.0, own - others)
