"""What a stage puts through its model at once: documents, cuts, answers, and the models beside it."""

from dataclasses import dataclass, replace

from rpt_core.planning.shape import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One step of a stage, in tokens; every document and every answer at its longest.

    A document without answers (``group`` 0) is what base training and difficulty scoring see.
    """

    documents: int = 1
    """In a step."""
    trunk: int
    """Tokens of a document with its instruction."""
    cuts: int = 1
    suffix: int = 0
    """Tokens between a cut and the answers below it."""
    group: int = 0
    """Answers below every cut."""
    answer: int = 0
    """Tokens of an answer."""
    trains: bool = True
    draws: bool = False
    """Whether the answers are drawn here, and not given."""
    scores_document: bool = False
    """Whether the document's own tokens are scored beside the answers, in the same pass."""
    raw_documents: bool = False
    """Whether they are learnt from in a pass of their own, the document alone (RMT's form)."""
    muon: bool = False
    """Whether the layers' matrices are updated by Muon, which keeps one moment and not two."""
    references: int = 0
    """Whole models held beside the trained one: a frozen reference, a moving average."""
    judge: Shape | None = None
    """A judge run in the same process."""

    @property
    def answers(self) -> int:
        """In a step."""
        return self.documents * self.cuts * self.group

    @property
    def tree(self) -> int:
        """Tokens of a document with all that hangs below it."""
        return self.trunk + self.cuts * (self.suffix + self.group * self.answer)


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """What goes through the model in one pass of an update."""

    documents: int
    trunk: int
    cuts: int
    suffix: int
    answers: int
    answer: int

    @property
    def trunk_tokens(self) -> int:
        """Of all documents."""
        return self.documents * self.trunk

    @property
    def branch_tokens(self) -> int:
        """Suffixes and answers; the last token of an answer predicts nothing and is not forwarded."""
        return self.cuts * self.suffix + self.answers * max(self.answer - 1, 0)

    @property
    def tokens(self) -> int:
        """Forwarded."""
        return self.trunk_tokens + self.branch_tokens


def micro_batch(load: Load, budget: int) -> MicroBatch:
    """The largest micro-batch of a budget, as :func:`rpt_core.policy.parts.micro_batches` cuts them.

    An answer is never cut: a document with a single answer that is longer than the budget goes alone.

    Example:
        >>> load = Load(documents=8, trunk=100, cuts=2, group=4, answer=50)
        >>> [micro_batch(load, budget).answers for budget in (100, 250, 500, 1000)]
        [1, 3, 8, 16]
    """
    if load.tree <= budget:
        documents = min(load.documents, budget // load.tree)
        cuts = documents * load.cuts
        return MicroBatch(documents, load.trunk, cuts, load.suffix, cuts * load.group, load.answer)
    if not load.group:
        return MicroBatch(1, load.trunk, 0, 0, 0, 0)
    answers = max(1, (budget - load.trunk - load.suffix) // max(load.answer, 1))
    answers = min(answers, load.cuts * load.group)
    return MicroBatch(1, load.trunk, -(-answers // load.group), load.suffix, answers, load.answer)


def shared_out(load: Load, ranks: int) -> Load:
    """One rank's share of a step."""
    return replace(load, documents=-(-load.documents // ranks))
