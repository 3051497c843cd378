"""Our trainer beside TRL's GRPOTrainer: first that both compute the same, then how long each takes.

``make bench-trainer`` runs it where TRL is installed (:mod:`tests.benchmarks.trl_side`). Steps alternate
between the two; the first round is discarded, medians are shown by two clocks: the wall's, and the
processor's, which neighbours on a shared machine disturb less. Exits with 1 when the two disagree or a
target is missed by the clock named with ``--by``. Threads that wait sleep, as in every stage
(``OMP_WAIT_POLICY=PASSIVE``): spinning ones would count as work on both sides. With ``--device cuda`` it is
:mod:`tests.benchmarks.large` instead, which needs no TRL.
"""

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence

import torch

from rpt_core.policy.forward import branch_logprobs
from rpt_core.policy.trunk import Sampling
from tests.benchmarks import difficulty, large, resident
from tests.benchmarks.workload import Ours, Shape, Step, model_of, nested, reward, single

TARGETS = {
    "P=512 R=32 G=8": {"update": 5.0, "rollout": 3.0, "whole": 4.0},
    "P=96 R=32 G=8": {"whole": 2.0},
    "P=32 R=32 G=8": {"whole": 1.0},
    "D=1024, 16 cuts, G=8": {"whole": 8.0},
}
"""How many times faster than the peer, at least."""
PARTS = ("races", "doubling", "difficulty", "memory")
LARGE = single(96, vocab=151_936)


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shapes", nargs="*", default=list(TARGETS))
    parser.add_argument(
        "--memory-of", choices=("ours", "trl"), help="one step at V=152k, its peak memory only"
    )
    parser.add_argument("--by", choices=("wall", "cpu"), default="wall", help="the clock targets are for")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options, rest = parser.parse_known_args()
    if options.device == "cuda":
        large.main(rest)
        return
    if rest:
        parser.error(f"unknown: {' '.join(rest)}")
    torch.set_num_threads(options.threads)
    if options.memory_of:
        print(json.dumps(peak_bytes(options.memory_of)))
        return
    run: dict[str, Callable[[], list[str]]] = {
        "races": lambda: [
            m for name in options.shapes for m in race(_shape(name), options.rounds, options.by)
        ],
        "doubling": lambda: doubling(options.rounds, options.by),
        "difficulty": lambda: difficulty.measure(options.rounds, options.by),
        "memory": memory,
    }
    missed = [line for part in options.parts for line in run[part]()]
    if missed:
        sys.exit("missed: " + "; ".join(missed))


def race(shape: Shape, rounds: int, by: str) -> list[str]:
    """Check that both sides agree, then let them alternate; the targets that were missed."""
    from tests.benchmarks.trl_side import Peer

    model = model_of(shape)
    ours, peer = Ours(shape, model), Peer(shape, model, rounds + 1)
    print(f"\n{shape.name}: {assert_equal(shape, ours, peer)}")
    mine: list[Step] = []
    theirs = peer.race(lambda: mine.append(ours.step()))
    print(f"{'':14}{'TRL':>10}{'ours':>10}{'times':>8}")
    missed = []
    for clock in ("wall", "cpu"):
        for what in ("rollout", "update", "whole"):
            slow, fast = (_median(side, clock, what) for side in (theirs, mine))
            target = TARGETS.get(shape.name, {}).get(what) if clock == by else None
            wanted = f"  (target {target:g})" if target else ""
            print(f"{clock:5}{what:9}{slow:9.3f}s{fast:9.3f}s{slow / fast:8.2f}{wanted}")
            if target and slow / fast < target:
                missed.append(f"{shape.name} {what} {slow / fast:.2f} < {target:g}")
    return missed


def _median(steps: list[Step], clock: str, what: str) -> float:
    """Over all rounds but the first."""
    return statistics.median(getattr(getattr(one, clock), what) for one in steps[1:])


def assert_equal(shape: Shape, ours: Ours, peer: object) -> str:
    """Log-probabilities, loss gradient: the same on both sides, or the race is off."""
    sampling = Sampling(1.0, shape.answer_tokens, frozenset(), shape.group_size, seed=7)
    drawn = ours.trainer.engine.generate(shape.trunks(), sampling, 0)
    answers = [[[list(s.token_ids) for s in group] for group in trunk] for trunk in drawn]
    rows = torch.tensor([ids for trunk in answers for group in trunk for ids in group])
    scores = torch.tensor([reward(ids) for ids in rows.tolist()])
    advantages = scores - scores.mean()
    loss, logprobs = peer.loss_and_logprobs(shape, rows, advantages)  # type: ignore[attr-defined]
    loss.backward()
    scored = branch_logprobs(ours.policy, shape.trunks(), answers, with_document=False)
    (-(scored.logprobs_N * advantages[scored.answer_N]).sum() / rows.numel()).backward()
    error = float((scored.logprobs_N.detach() - logprobs.flatten()).abs().max())
    theirs = dict(peer.trainer.model.named_parameters())  # type: ignore[attr-defined]
    relative = max(
        float((p.grad - theirs[name].grad).norm() / theirs[name].grad.norm())
        for name, p in ours.policy.model.named_parameters()
    )
    peer.trainer.model.zero_grad()  # type: ignore[attr-defined]
    ours.policy.model.zero_grad()
    if error > 1e-4 or relative > 1e-3:
        sys.exit(f"{shape.name}: log-probabilities differ by {error:.1e}, gradients by {relative:.1e}")
    return f"log-probabilities equal to {error:.1e}, gradients to {relative:.1e}"


def doubling(rounds: int, by: str) -> list[str]:
    """What it costs to ask twice as many questions of one document for the same answer tokens."""
    sides = [Ours(shape, model_of(shape)) for shape in (nested(8, 16), nested(16, 8))]
    steps: list[list[Step]] = [[], []]
    for _ in range(rounds + 1):
        for side, taken in zip(sides, steps, strict=True):
            taken.append(side.step())
    print("\nD=1024: 8 cuts, G=16, then 16 cuts, G=8")
    missed = []
    for clock in ("wall", "cpu"):
        few, many = (_median(taken, clock, "whole") for taken in steps)
        print(f"{clock:5}whole    {few:9.3f}s{many:9.3f}s{many / few:8.2f}  (target < 1.2)")
        if clock == by and many / few >= 1.2:
            missed.append(f"doubling the cuts costs {many / few:.2f}")
    return missed


def memory() -> list[str]:
    """Peak resident memory of one whole step at a vocabulary of 152k, each side in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.trainer", "--memory-of"]
    outputs = [
        subprocess.run([*command, side], check=True, capture_output=True, text=True).stdout
        for side in ("ours", "trl")
    ]
    ours, trl = (json.loads(output.splitlines()[-1]) for output in outputs)
    sizes = f"ours {ours / 2**30:.2f} GiB, TRL {trl / 2**30:.2f} GiB"
    print(f"\npeak memory of a step at V=152k: {sizes} (target <= 1/2)")
    return [] if ours <= trl / 2 else [f"peak memory {ours / trl:.2f} of TRL's"]


def peak_bytes(side: str) -> int:
    """Two steps, then the most memory this process has held."""
    if side == "ours":
        ours = Ours(LARGE, model_of(LARGE))
        ours.step()
        ours.step()
    else:
        from tests.benchmarks.trl_side import Peer

        Peer(LARGE, model_of(LARGE), 2).race(lambda: None)
    return resident.peak_bytes()


def _shape(name: str) -> Shape:
    known: Sequence[Shape] = [single(512), single(96), single(32), nested(16, 8)]
    return next(shape for shape in known if shape.name == name)


if __name__ == "__main__":
    main()
