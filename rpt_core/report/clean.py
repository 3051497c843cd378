"""Which questions of a leaderboard the training text of each checkpoint gives away."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from rpt_core.corpus.dedup.decontaminate import HeldOutItem
from rpt_core.evaluation.touched import Touches, asked_items, touched_by
from rpt_core.recipes.reports.leaderboard import Entry, LeaderboardRecipe
from rpt_core.report.columns import Standing
from rpt_core.report.models import Evaluated


class TrainingText:
    """Touches by model and evaluation; a corpus is read once for each set of questions."""

    def __init__(
        self,
        recipe: LeaderboardRecipe,
        inputs: Mapping[str, Path],
        evaluations: Mapping[str, Sequence[Evaluated]],
    ) -> None:
        self._recipe, self._inputs, self._evaluations = recipe, inputs, evaluations
        self._known: dict[tuple[str, str], Touches] = {}
        self._questions: dict[tuple[str, int], list[HeldOutItem]] = {}

    def of(self, standing: Standing) -> Touches | None:
        """What a model's training text gives away of what it was asked; None where that text is not known."""
        entry = next(one for one in self._recipe.entries if one.name == standing.model)
        trained = self._folders(entry, "trained_on", len(entry.trained_on))
        if not trained:
            return None
        asked = self._asked(entry, standing.evaluation)
        questions = str(sorted((item.item_id, item.problem) for item in asked))
        for corpus in trained:
            key = str(corpus), questions
            if key not in self._known:
                self._known[key] = touched_by([corpus], asked, self._recipe.ngram_words)
        several = [self._known[str(corpus), questions] for corpus in trained]
        found = tuple(chain.from_iterable(one.found for one in several))
        return Touches(found, frozenset.union(*(one.covered for one in several)))

    def _asked(self, entry: Entry, evaluation: Evaluated) -> list[HeldOutItem]:
        """The questions of one evaluation of a checkpoint, looked up once."""
        numbered = enumerate(self._evaluations[entry.name])
        place = entry.name, next(number for number, one in numbered if one is evaluation)
        if place not in self._questions:
            folder = self._inputs["entries.{}.evaluations.{}".format(*place)]
            corpora = self._folders(entry, "asked_from", len(entry.asked_from))
            self._questions[place] = asked_items(folder, evaluation.items, corpora)
        return self._questions[place]

    @property
    def all(self) -> Touches:
        """Everything met so far, each pair of question and row once."""
        pairs = {(one.item_id, one.row_id): one for each in self._known.values() for one in each.found}
        return Touches(tuple(pairs.values()), frozenset())

    def _folders(self, entry: Entry, what: str, num: int) -> list[Path]:
        return [self._inputs[f"entries.{entry.name}.{what}.{number}"] for number in range(num)]
