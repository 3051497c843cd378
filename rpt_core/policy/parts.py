"""Cuts the work of an update into micro-batches of a token budget, never through an answer.

A document's group of answers stays with its trunk. Where the group is larger than the budget it is
split by its branches: the trunk is then computed again for each part, and only the first part counts
the document's own loss. Sums over parts are the sums over the whole, so nothing depends on the split.
Plain rows, with nothing below them, are padded instead (:func:`padded_batches`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rpt_core.policy.trunk import Answers, Trunk

Branch = tuple[int, int]
"""(cut, answer) within one trunk."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some branches of one trunk, to be forwarded with it."""

    trunk: int
    """Index of the trunk in the batch."""
    branches: tuple[Branch, ...]
    counts_document: bool
    """Whether this part carries the document's own loss: true for exactly one part of a trunk."""
    num_tokens: int
    """Tokens forwarded: the trunk, the suffixes asked, the answers."""

    def pick(
        self, trunk: Trunk, answers: Sequence[Sequence[Sequence[int]]]
    ) -> tuple[Trunk, list[list[Sequence[int]]]]:
        """The trunk with the cuts of this part alone, and their answers."""
        cuts = sorted({cut for cut, _ in self.branches})
        picked: dict[int, list[Sequence[int]]] = {cut: [] for cut in cuts}
        for cut, answer in self.branches:
            picked[cut].append(answers[cut][answer])
        kept = Trunk(trunk.key, trunk.instruction_ids, trunk.document_ids, tuple(trunk.cuts[c] for c in cuts))
        return kept, [picked[cut] for cut in cuts]


def micro_batches(
    trunks: Sequence[Trunk], answers: Answers, budget: int, chosen: Sequence[int] | None = None
) -> list[list[Part]]:
    """Parts gathered into micro-batches of at most ``budget`` tokens, trunks of like length together.

    A trunk with a single answer that is longer than the budget makes a micro-batch of its own.

    Args:
        trunks: The batch's documents.
        answers: Token ids by trunk, cut and answer.
        budget: Largest number of tokens forwarded at once (``tokens_per_micro_batch``).
        chosen: Indices of the trunks that are meant, such as a rank's share; all where it is left out.

    Returns:
        Micro-batches; every answer of the chosen trunks is in exactly one part.
    """
    meant = range(len(trunks)) if chosen is None else chosen
    order = sorted(meant, key=lambda index: (trunks[index].num_tokens, index))
    batches: list[list[Part]] = []
    room = 0
    for index in order:
        for part in _parts(index, trunks[index], answers[index], budget):
            if part.num_tokens > room or not batches:
                batches.append([])
                room = budget
            batches[-1].append(part)
            room -= part.num_tokens
    return batches


def has_branches(parts: Sequence[Part]) -> bool:
    """Whether a micro-batch makes a pass over branches."""
    return any(part.branches for part in parts)


def smallest(trunks: Sequence[Trunk], answers: Answers, *, branches: bool, counts_document: bool) -> Part:
    """A part of few tokens for a micro-batch that only keeps other ranks company.

    Args:
        trunks: The batch's documents.
        answers: Token ids by trunk, cut and answer.
        branches: Whether it has one, as its trunk's first.
        counts_document: As the part is to say.
    """
    meant = [index for index, of in enumerate(answers) if not branches or any(of)]
    index = min(meant, key=lambda index: (trunks[index].num_tokens, index))
    first = next(cut for cut, at in enumerate(answers[index]) if at) if branches else 0
    return Part(index, ((first, 0),) if branches else (), counts_document, trunks[index].num_tokens)


def _parts(
    index: int, trunk: Trunk, answers: Sequence[Sequence[Sequence[int]]], budget: int
) -> Iterator[Part]:
    branches: list[Branch] = []
    first, tokens, last_cut = True, trunk.num_tokens, -1
    for cut, at_cut in enumerate(answers):
        for answer, ids in enumerate(at_cut):
            suffix = 0 if cut == last_cut else len(trunk.cuts[cut].suffix_ids)
            if branches and tokens + suffix + len(ids) > budget:
                yield Part(index, tuple(branches), first, tokens)
                branches, first, tokens = [], False, trunk.num_tokens
                suffix = len(trunk.cuts[cut].suffix_ids)
            branches.append((cut, answer))
            tokens += suffix + len(ids)
            last_cut = cut
    if branches or first:
        yield Part(index, tuple(branches), first, tokens)


def padded_batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Rows in batches of at most ``budget`` tokens, padding included; a longer row makes one of its own.

    Example:
        >>> list(padded_batches([5, 2, 9, 2], budget=8))  # neighbours in length, so that little is padded
        [[1, 3], [0], [2]]
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and lengths[index] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
