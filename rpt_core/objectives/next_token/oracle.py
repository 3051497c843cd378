"""The oracle: RPT's reward, paid only where the thought is the true chain, too (a control).

    r = 1 if the prediction is a right prefix and the thought says the true steps, word for word; else 0

It is the ceiling of what the same update can do with the same answers: no reward of text alone can tell a
lucky thought from a sound one. An answer is still told right or wrong by its box; what it earns is verified
correctness. Chains must be known: a place without one pays nobody, so that its group is dropped.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import pyarrow.parquet as pq

from rpt_core.errors import RecipeError
from rpt_core.objectives.next_token.objective import NextTokenObjective, open_objective
from rpt_core.objectives.next_token.positions import Window
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.objective import Question, Verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import OracleObjective
from rpt_core.recipes.reinforce import PolicyRecipe

TRACES_FILE = "traces.parquet"
Chains = Mapping[str, Mapping[int, str]]
"""By document and place in it (code points), the steps that lead to what stands there."""


@dataclass(frozen=True, slots=True)
class ChainQuestion(Question):
    """A question whose true steps are known, or not."""

    chain: str | None = None


@dataclass(frozen=True)
class Verified(NextToken):
    """How a next-token question is rewarded by the oracle."""

    chains: Chains = field(default_factory=dict)

    def judge(self, question: Question, sample: Sample) -> Verdict:
        """Right or wrong by the box; a reward where the thought is true as well."""
        found = super().judge(question, sample)
        chain = question.chain if isinstance(question, ChainQuestion) else None
        is_true = chain is not None and says(found.thought, chain)
        return replace(found, score=float(found.verdict == "correct" and is_true))

    def _question(self, window: Window, position: int) -> Question:
        plain = super()._question(window, position)
        known = self.chains.get(window.doc_id, {})
        chain = known.get(len(self.codec.decode(window.document_ids[:position].tolist()))) if known else None
        return ChainQuestion(**{one.name: getattr(plain, one.name) for one in fields(plain)}, chain=chain)


def says(thought: str, chain: str) -> bool:
    """Whether a thought is the chain, blanks between words aside.

    Example:
        >>> says(" three, four ", "three, four"), says("three, five", "three, four")
        (True, False)
    """
    return thought.split() == chain.split()


def traced(corpus: Path) -> Chains:
    """The chains of a corpus whose traces are all right.

    Raises:
        RecipeError: it has no trace.
    """
    found: dict[str, dict[int, str]] = defaultdict(dict)
    file = corpus / TRACES_FILE
    columns = ["doc_id", "char_offset", "thought"]
    for row in pq.read_table(file, columns=columns).to_pylist() if file.is_file() else ():
        found[row["doc_id"]][row["char_offset"]] = row["thought"]
    if not found:
        raise RecipeError(
            "objective oracle pays for true thoughts, and this corpus has no trace that says any. Train on "
            "the sample world, or take objective rpt."
        )
    return found


CHAINS: dict[str, Callable[[Path], Chains]] = {"traces": traced}
"""Who knows the true chains, by the name a recipe gives: from the folder of the corpus."""


def open_oracle(recipe: PolicyRecipe, inputs: Mapping[str, Path], codec: Codec) -> NextTokenObjective:
    """The oracle over a corpus whose chains are known.

    Raises:
        RecipeError: nobody knows them.
        StarvedError: no position of the training documents is eligible.
    """
    objective = open_objective(recipe, inputs, codec, question=Verified)
    assert isinstance(objective.question, Verified)
    assert isinstance(recipe.objective, OracleObjective)
    chains = CHAINS[recipe.objective.chains](inputs["corpus"])
    return replace(objective, question=replace(objective.question, chains=chains))
