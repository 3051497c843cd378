"""The oracle: RPT's reward, paid only where the thought is the true chain, too (a control).

    r = 1 if the prediction is a right prefix and the thought says the true steps, word for word; else 0

It is the ceiling of what the same update can do with the same answers: no reward of text alone can tell a
lucky thought from a sound one. An answer is still told right or wrong by its box; what it earns is verified
correctness, as the study measures it (A2). Chains must be known: a place without one pays nobody, so that its
group is dropped. Where no trace errs the traces say them; in the sample world's second edition, whose teacher
errs, they are walked from what the text tells.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import pyarrow.parquet as pq

from rpt_core.corpus.tables import BOXED, read_rows
from rpt_core.errors import RecipeError
from rpt_core.objectives.next_token.objective import NextTokenObjective, open_objective
from rpt_core.objectives.next_token.positions import Window
from rpt_core.objectives.next_token.question import NextToken
from rpt_core.objectives.objective import Question, Verdict
from rpt_core.policy.codec import Codec
from rpt_core.policy.trunk import Sample
from rpt_core.recipes.objectives import OracleObjective
from rpt_core.recipes.reinforce import PolicyRecipe
from rpt_core.sample.second.measures import questions_of

TRACES_FILE, DOCUMENTS_FILE = "traces.parquet", "documents.parquet"
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
    """Whether a thought is the chain, word for word, blanks around it aside.

    Example:
        >>> says(" three, four ", "three, four"), says("three, five", "three, four")
        (True, False)
    """
    return thought.strip() == chain.strip()


def traced(corpus: Path) -> Chains:
    """The chains of a corpus whose traces are all right.

    Raises:
        RecipeError: it has no trace, or its traces box conclusions of their own, right or wrong.
    """
    file = corpus / TRACES_FILE
    if file.is_file() and BOXED.name in pq.read_schema(file).names:
        raise RecipeError(
            "objective oracle pays for true thoughts, and the traces of this corpus are a teacher's that may "
            "err. Set objective.chains=world, which walks the steps that the text itself tells."
        )
    columns = ["doc_id", "char_offset", "thought"]
    rows = pq.read_table(file, columns=columns).to_pylist() if file.is_file() else []
    return _by_document(((row["doc_id"], row["char_offset"]), row["thought"]) for row in rows)


def walked(corpus: Path) -> Chains:
    """The chains of the sample world's second edition, read back out of its documents.

    Raises:
        RecipeError: no document tells a step of it.
    """
    questions = questions_of(read_rows(corpus / DOCUMENTS_FILE, ["doc_id", "text"]))
    return _by_document((place, question.thought) for place, question in questions.items())


def _by_document(chains: Iterable[tuple[tuple[str, int], str]]) -> Chains:
    found: dict[str, dict[int, str]] = defaultdict(dict)
    for (doc_id, char_offset), chain in chains:
        found[doc_id][char_offset] = chain
    if not found:
        raise RecipeError(
            "objective oracle pays for true thoughts, and this corpus has no trace that says any, or no text "
            "that tells its steps. Train on the sample world (objective.chains=world for its second "
            "edition), or take objective rpt."
        )
    return found


CHAINS: dict[str, Callable[[Path], Chains]] = {"traces": traced, "world": walked}
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
