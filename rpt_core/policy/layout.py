"""Index arithmetic of a forward pass: where each token of a tree sits, and what it may see.

Everything is laid out twice: trunks as rows padded on the right (B, T), and what hangs below the cuts
as one ragged row without any padding, in order of (trunk, cut): a cut's suffix, then its answers. A
*slot* numbers both at once: the padded trunk tokens first, row by row, then the ragged tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rpt_core.policy.trunk import Answers, Trunk

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Ragged:
    """A tree's tokens and their places; arrays without a letter run over the ragged row."""

    trunks: tuple[Trunk, ...]
    trunk_ids_BT: Ints
    """Padded on the right with token 0."""
    ids: Ints
    position: Ints
    """Place of the token in its path from the root, from 0."""
    document: Ints
    """Index of its trunk."""
    limit: Ints
    """Trunk tokens it may see."""
    cut: Ints
    """Number of its cut, counted through the batch; -1 for trunk tokens (packed rows only)."""
    row: Ints
    """Number of its answer, counted through the batch; -1 for suffix and trunk tokens."""
    suffixes: Ints
    """By cut: first ragged token and length of its suffix, shape (cuts, 2)."""
    entry: Ints
    """By cut: the slot that predicts the first token of its answers."""
    leaves: Ints
    """By answer: its cut, first ragged token and number of forwarded tokens, shape (answers, 3)."""
    predictor_N: Ints
    """Slot that predicts each scored answer token."""
    target_N: Ints
    answer_N: Ints
    """Number of the answer each scored token belongs to."""

    @property
    def num_answers(self) -> int:
        """Answers in the tree, empty ones included."""
        return len(self.leaves)

    @property
    def num_branch_tokens(self) -> int:
        """Length of the ragged row."""
        return len(self.ids)

    def document_targets(self) -> tuple[Ints, Ints, Ints, Ints]:
        """Predicting slot, target id, trunk and index of every document token that has a predictor."""
        width = self.trunk_ids_BT.shape[1]
        slots, trunks, tokens = [], [], []
        for index, trunk in enumerate(self.trunks):
            before = len(trunk.instruction_ids)
            token = np.arange(0 if before else 1, len(trunk.document_ids), dtype=np.int64)
            slots.append(index * width + before + token - 1)
            tokens.append(token)
            trunks.append(np.full(len(token), index, np.int64))
        slot_M = np.concatenate(slots)
        return (
            slot_M,
            self.trunk_ids_BT.reshape(-1)[slot_M + 1],
            np.concatenate(trunks),
            np.concatenate(tokens),
        )

    def packed(self) -> tuple["Ragged", Ints]:
        """The whole tree as one ragged row, trunks first, and that row's token for every slot."""
        lengths = [trunk.num_tokens for trunk in self.trunks]
        width = self.trunk_ids_BT.shape[1]
        real = np.concatenate([b * width + np.arange(n) for b, n in enumerate(lengths)]).astype(np.int64)
        position = real % width
        none = np.full(len(real), -1, np.int64)
        row = replace(
            self,
            ids=np.concatenate([self.trunk_ids_BT.reshape(-1)[real], self.ids]),
            position=np.concatenate([position, self.position]),
            document=np.concatenate([real // width, self.document]),
            limit=np.concatenate([position + 1, self.limit]),
            cut=np.concatenate([none, self.cut]),
            row=np.concatenate([none, self.row]),
        )
        order = np.zeros(self.trunk_ids_BT.size + len(self.ids), np.int64)
        order[real] = np.arange(len(real))
        order[self.trunk_ids_BT.size :] = len(real) + np.arange(len(self.ids))
        return row, order

    def separate_rows(self) -> tuple[Ints, Ints]:
        """Every path as a padded row of its own, and the flattened place of every slot's token in them."""
        paths = [list(trunk.token_ids) for trunk in self.trunks]
        width = self.trunk_ids_BT.shape[1]
        places = [(index, np.arange(width)) for index in range(len(paths))]
        back = np.zeros((self.trunk_ids_BT.size + len(self.ids), 2), np.int64)
        for row, at in places:
            back[row * width : (row + 1) * width] = np.stack([np.full(width, row), at], 1)
        for cut, first, count in self.leaves:
            start, length = self.suffixes[cut]
            own = np.concatenate([np.arange(start, start + length), np.arange(first, first + count)])
            if not len(own):
                continue
            limit, trunk = int(self.limit[own[0]]), int(self.document[own[0]])
            slots = self.trunk_ids_BT.size + own
            back[slots, 0], back[slots, 1] = len(paths), limit + np.arange(len(own))
            paths.append([*self.trunks[trunk].token_ids[:limit], *self.ids[own]])
        ids_BT = np.zeros((len(paths), max(len(path) for path in paths)), np.int64)
        for row, path in enumerate(paths):
            ids_BT[row, : len(path)] = path
        return ids_BT, back[:, 0] * ids_BT.shape[1] + back[:, 1]


def lay_out(trunks: Sequence[Trunk], answers: Answers) -> Ragged:
    """Number every token of the tree.

    Args:
        trunks: At least one document.
        answers: Token ids by trunk, cut and answer, one list of answers for each cut.
    """
    builder = _Builder(trunks)
    for index, (trunk, at_trunk) in enumerate(zip(trunks, answers, strict=True)):
        for cut, at_cut in zip(trunk.cuts, at_trunk, strict=True):
            builder.add(index, trunk.depth(cut), cut.suffix_ids, at_cut)
    return builder.finish()


class _Builder:
    """Gathers the ragged row, cut by cut."""

    def __init__(self, trunks: Sequence[Trunk]) -> None:
        self.trunks = tuple(trunks)
        self.width = max(trunk.num_tokens for trunk in trunks)
        self.base = len(trunks) * self.width
        self.ids: list[int] = []
        self.runs: list[tuple[int, int, int, int, int, int]] = []  # length, position, trunk, limit, cut, row
        self.suffixes: list[tuple[int, int]] = []
        self.entries: list[int] = []
        self.leaves: list[tuple[int, int, int]] = []
        self.scored: list[tuple[int, int, int]] = []  # slot before the answer, first own ragged token, length
        self.targets: list[int] = []

    def add(self, trunk: int, depth: int, suffix: Sequence[int], answers: Sequence[Sequence[int]]) -> None:
        cut, start, length = len(self.suffixes), len(self.ids), len(suffix)
        self.suffixes.append((start, length))
        self._run(suffix, depth, trunk, depth, cut, -1)
        before = self.base + start + length - 1 if length else trunk * self.width + depth - 1
        self.entries.append(before)
        for answer in answers:
            first = len(self.ids)
            self._run(answer[:-1], depth + length, trunk, depth, cut, len(self.leaves))
            self.scored.append((before, self.base + first, len(answer)))
            self.leaves.append((cut, first, max(len(answer) - 1, 0)))
            self.targets.extend(answer)

    def _run(self, ids: Sequence[int], position: int, trunk: int, limit: int, cut: int, row: int) -> None:
        if len(ids):
            self.ids.extend(ids)
            self.runs.append((len(ids), position, trunk, limit, cut, row))

    def finish(self) -> Ragged:
        trunk_ids_BT = np.zeros((len(self.trunks), self.width), np.int64)
        for index, trunk in enumerate(self.trunks):
            trunk_ids_BT[index, : trunk.num_tokens] = trunk.token_ids
        length, position, *rest = np.array(self.runs, np.int64).reshape(-1, 6).T  # (runs,) each
        document, limit, cut, row = (np.repeat(column, length) for column in rest)
        before, first, scored = np.array(self.scored, np.int64).reshape(-1, 3).T
        within = ramp(scored)  # (N,): place of each scored token in its answer
        return Ragged(
            trunks=self.trunks,
            trunk_ids_BT=trunk_ids_BT,
            ids=np.array(self.ids, np.int64),
            position=np.repeat(position, length) + ramp(length),
            document=document,
            limit=limit,
            cut=cut,
            row=row,
            suffixes=np.array(self.suffixes, np.int64).reshape(-1, 2),
            entry=np.array(self.entries, np.int64),
            leaves=np.array(self.leaves, np.int64).reshape(-1, 3),
            predictor_N=np.where(
                within == 0, np.repeat(before, scored), np.repeat(first, scored) + within - 1
            ),
            target_N=np.array(self.targets, np.int64),
            answer_N=np.repeat(np.arange(len(scored)), scored),
        )


def ramp(lengths: Ints) -> Ints:
    """0, 1, 2 ... restarting with every run.

    Example:
        >>> ramp(np.array([2, 0, 3])).tolist()
        [0, 1, 0, 1, 2]
    """
    ends = np.cumsum(lengths)
    return np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(ends - lengths, lengths)


def visible(tree: Ragged, query: Ints, key: Ints) -> Bools:
    """Whether ragged token ``query`` may attend to ragged token ``key`` of a packed row; broadcasts."""
    below = (tree.cut[key] == tree.cut[query]) & (tree.position[key] <= tree.position[query])
    below &= (tree.row[key] == -1) | (tree.row[key] == tree.row[query])
    in_trunk = tree.cut[key] == -1
    allowed = np.where(in_trunk, tree.position[key] < tree.limit[query], below)
    result: Bools = allowed & (tree.document[key] == tree.document[query])
    return result


@dataclass(frozen=True)
class RowGroup:
    """Rows of like length that attend to keys of their own, padded to a rectangle."""

    query_LM: Ints
    """Ragged token in each query slot; padding repeats token 0."""
    key_LD: Ints
    sees_LMD: Bools


def group_by_document(tree: Ragged) -> tuple[Ints, Bools, Ints]:
    """Ragged tokens as queries of their trunk: slots (B, M), sight (B, M, T), and each token's flat slot."""
    counts = np.bincount(tree.document, minlength=len(tree.trunks))
    starts = np.cumsum(counts) - counts
    slots = np.arange(counts.max())
    filled = slots < counts[:, None]
    query_BM = np.where(filled, starts[:, None] + slots, 0)
    limit_BM = np.where(filled, tree.limit[query_BM], 0)
    sees_BMD = np.arange(tree.trunk_ids_BT.shape[1]) < limit_BM[..., None]
    return query_BM, sees_BMD, tree.document * len(slots) + ramp(counts)


def group_locally(tree: Ragged) -> tuple[list[RowGroup], Ints]:
    """Suffixes over themselves, answers over suffix and themselves; each token's flat slot in the groups."""
    suffix = tree.suffixes[tree.suffixes[:, 1] > 0]
    rows = [np.stack([suffix[:, 0], suffix[:, 1], suffix[:, 0], np.zeros(len(suffix), np.int64)], 1)]
    answers = tree.leaves[tree.leaves[:, 2] > 0]
    rows.append(np.concatenate([answers[:, 1:], tree.suffixes[answers[:, 0]]], 1))
    groups: list[RowGroup] = []
    slot_N = np.zeros(tree.num_branch_tokens, np.int64)
    num_slots = 0
    for kind in rows:
        for bucket in _buckets(kind):
            group = _group(*bucket.T)
            real_LM = group.sees_LMD.any(2)
            slot_N[group.query_LM[real_LM]] = num_slots + np.flatnonzero(real_LM)
            groups.append(group)
            num_slots += group.query_LM.size
    return groups, slot_N


def like_lengths(tree: Ragged) -> list[tuple[Ints, int]]:
    """The tree's trunks in groups to be forwarded together: their rows, and the width of each group.

    A group has at most :data:`PASS_SLOTS` tokens with padding, or a single trunk.
    """
    rows = np.array([(index, trunk.num_tokens) for index, trunk in enumerate(tree.trunks)], np.int64)
    groups = []
    for bucket in _buckets(rows):
        width = int(bucket[:, 1].max())
        most = max(1, PASS_SLOTS // width)
        groups += [(bucket[at : at + most, 0], width) for at in range(0, len(bucket), most)]
    return groups


def _group(first: Ints, count: Ints, shared: Ints, num_shared: Ints) -> RowGroup:
    """Rows with queries at ``first``, over ``num_shared`` keys at ``shared`` and then their own."""
    query = np.arange(count.max())
    key = np.arange((num_shared + count).max())
    is_shared = key < num_shared[:, None]  # (L, D): the suffix first, then own tokens
    own = np.minimum(key - num_shared[:, None], count[:, None] - 1)
    key_LD = np.where(is_shared, shared[:, None] + key, first[:, None] + own)
    filled = query < count[:, None]
    sees_LMD = (key <= num_shared[:, None, None] + query[:, None]) & filled[..., None]  # all of the suffix
    return RowGroup(np.where(filled, first[:, None] + query, 0), key_LD, sees_LMD)


def _buckets(rows: Ints) -> list[Ints]:
    """Rows of (first, count, ...) split so that a rectangle of a bucket is at most about half padding."""
    buckets = []
    while len(rows):
        short = rows[:, 1] * 2 <= rows[:, 1].max()
        worth = short.sum() * rows[:, 1].max() > MIN_BUCKET_SLOTS
        long = ~short if worth else np.ones(len(rows), bool)
        buckets.append(rows[long])
        rows = rows[~long]
    return buckets


PASS_SLOTS = 32_768
"""Most tokens of trunks in one pass without gradient: more take memory for activations and save no time."""
MIN_BUCKET_SLOTS = 4096
"""Fewer padded slots than this are cheaper to compute than a further kernel launch."""
