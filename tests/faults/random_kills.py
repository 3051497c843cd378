"""A small journey killed at random moments, over and over: the same bytes come out, and nothing stays behind.

    python -m tests.faults.random_kills --kills 50 --seed 0

The journey (every stage of ``tiny_rpt`` at its smallest) runs undisturbed once. Then the same command is
killed at random moments and repeated until it is done, again and again in new state folders, half of them
over a folder and half over a moto S3 store, until all kills are spent. A signal that finds the command, or
the stage it was meant for, done with its work is told apart and is none of the kills.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from infra.runs import lifeline
from infra.storage import garbage
from infra.storage.store import Store
from tests.s3_servers import environment, moto, seaweedfs
from tests.stage_process import is_stage

ROOT = Path(__file__).resolve().parents[2]
SMALLEST = (
    "documents.sample.num_documents=60",
    "documents.sample.num_problems=60",
    'base.model={"vocab_size":512,"hidden_size":64,"num_layers":2,"num_heads":2,"num_kv_heads":1,'
    '"head_dim":32,"intermediate_size":128}',
    "base.steps=6",
    "base.documents_per_step=2",
    "cold-start.steps=6",
    "cold-start.documents_per_step=2",
    "cold-start.problems_per_step=1",
    "policy.steps=6",
    "policy.milestones=[1,2,3,4,5,6]",
    "policy.evaluate_every=0",
    "policy.prompts_per_step=4",
    "policy.group_size=2",
    "policy.cuts_per_document=2",
    "policy.reasoning_tokens=6",
    "policy.objective.entropy_floor_nats=0.1",
    'policy.selection={"when_starved":"pass-on","max_empty_steps":100}',
    "rlvr.steps=3",
    "rlvr.evaluate_every=0",
    "rlvr.prompts_per_step=2",
    "rlvr.group_size=2",
    "rlvr.reasoning_tokens=6",
    'rlvr.selection={"when_starved":"pass-on","max_empty_steps":100}',
    "evaluation.num_positions=24",
    "evaluation.num_problems=8",
    "evaluation.samples=2",
    "evaluation.reasoning_tokens=6",
    "scaling.resamples=20",
)
EXPECTED = {
    ("rpt", "SIGKILL"): {-9},
    ("rpt", "SIGTERM"): {75},
    ("rpt", "SIGINT"): {75},
    ("rpt", "SIGHUP"): {75},
    ("rpt twice", "SIGINT"): {75},
    ("watcher and rpt", "SIGKILL"): {-9},
    ("watcher", "SIGKILL"): {0},
    ("stage", "SIGKILL"): {1},
    ("stage", "SIGTERM"): {75},
    ("stage", "SIGINT"): {75},
    ("server", "SIGKILL"): {0, 75},
    ("server", "SIGTERM"): {0, 75},
}
"""Whom to kill with what -> the exit codes that were promised. A server that dies is started again, or the
command ends in one sentence."""
EARLIEST_SECONDS, LATEST_SHARE = 0.3, 0.35
"""A kill's moment lies between them, the latter of the undisturbed journey's seconds: far enough for several
stages, near enough for several kills before the journey is done."""
KILLS_PER_ROUND = 25
SURVIVED = ("server", "watcher")
"""Victims whose end the command outlives: it is killed further before it is judged."""
SERVICES = ("PREFECT_", "MLFLOW_", "RPT_")
GONE_SECONDS = 10.0
RUN_SECONDS = 1200.0
"""A journey takes two minutes on a quiet machine; a loaded one was seen to take six."""
SHARED_MEMORY = Path("/dev/shm")


@dataclass
class Kill:
    """One kill and what came of it."""

    victim: str
    number: str
    after: float
    code: int | None = None
    num_made: int = 0
    """Artifacts that were there right after it."""
    ended_after: float = 0.0
    words: str = ""
    faults: list[str] = field(default_factory=list)

    @property
    def too_late(self) -> bool:
        """Whether its victim had done its work already, so that the command ended as if left alone."""
        return self.code == 0 and 0 not in EXPECTED[self.victim, self.number]


@dataclass
class Round:
    """One state folder: killed until done, or until the kills are spent and then left to finish."""

    store: str
    wanted: dict[str, str]
    """Digests of the undisturbed journey."""
    kills: list[Kill] = field(default_factory=list)
    too_late: list[Kill] = field(default_factory=list)
    num_compared: int = 0
    """Artifacts whose digests were compared, the report among them."""
    seconds: float = 0.0
    differing: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


class Journey:
    """The command, its state folder, its store, and a folder of its own for temporary files."""

    def __init__(self, folder: Path, store: str = "") -> None:
        self.home, self.temporary = folder / "home", folder / "tmp"
        self.temporary.mkdir(parents=True, exist_ok=True)
        self.store = store
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(SERVICES)},
            "PYTHONPATH": str(ROOT),
            "RPT_HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "OMP_NUM_THREADS": "1",
            **({"RPT_STORE": store} if store else {}),
        }  # fmt: skip
        self.log = folder / "log.txt"

    def start(self) -> subprocess.Popen[bytes]:
        """The same command each time; its words go to a file that is begun anew."""
        words = [word for setting in SMALLEST for word in ("-p", setting)]
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "flows", "run", "tiny_rpt", *words],
                cwd=self.temporary.parent,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def open_store(self) -> Store:
        """The store of the command."""
        return Store(self.store or str(self.home / "store"), self.home / "cache")

    def digests(self) -> dict[str, str]:
        """Kind and fingerprint of every artifact -> its digest."""
        return {f"{found.kind}/{found.fingerprint}": found.digest for found in self.open_store().manifests()}

    def processes(self) -> list[psutil.Process]:
        """Every live process that carries this state folder in its environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if (
                    process.environ().get("RPT_HOME") == str(self.home)
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def left(self) -> list[str]:
        """What a dead command should not have left: processes, lifelines, shared memory."""
        lines = [path.name for path in self.temporary.glob("rpt-line-*")]
        return [*(f"{p.pid} {' '.join(p.cmdline()[:6])}" for p in self.processes()), *lines]

    def half_written(self) -> list[str]:
        """What is still there of dead attempts once a journey is done and its garbage was removed."""
        store = self.open_store()
        garbage.sweep(store, self.home, 0.0)
        garbage.remove(store, garbage.survey(store, 0.0))
        kept = [
            *store.objects.walk(store.objects.key("progress")),
            *store.objects.walk(store.objects.key("checkpoints")),
        ]
        scratch = [*(self.home / "scratch").iterdir()]
        return [*(one.key for one in kept), *map(str, scratch), *map(str, self.home.rglob("*.tmp*"))]


def shared_memory() -> set[str]:
    """Names in shared memory that no live process holds."""
    held = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            held |= {
                line.split("/dev/shm/")[1] for line in maps.read_text().splitlines() if "/dev/shm/" in line
            }
    return {path.name for path in SHARED_MEMORY.glob("*")} - held


def of(journey: Journey, victim: str, rpt: int) -> list[int]:
    """Process ids to kill, in this order; none while there is no such process."""
    if victim in ("rpt", "rpt twice"):
        return [rpt]
    found: dict[str, list[int]] = {"watcher": [], "stage": [], "server": []}
    for process in journey.processes():
        try:
            words = process.cmdline()
        except psutil.Error:
            continue
        if is_stage(process):
            found["stage"].append(process.pid)
        elif "uvicorn" in words:
            found["server"].append(process.pid)
        elif words and words[-1] == lifeline.__file__:
            found["watcher"].append(process.pid)
    if victim == "watcher and rpt":
        return [*found["watcher"], rpt]
    return found[victim][:1]


def hears(pid: int) -> bool:
    """Whether a process has a handler for SIGTERM; before that, its interpreter is starting."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), "0")
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)


def strike(journey: Journey, process: subprocess.Popen[bytes], kill: Kill) -> bool:
    """Wait for the moment and the victim, and kill; false when the command was done before."""
    moment = time.monotonic() + kill.after
    number = signal.Signals[kill.number]
    while process.poll() is None:
        early = kill.victim.startswith("rpt") and kill.number != "SIGKILL" and not hears(process.pid)
        if not early and time.monotonic() >= moment and (pids := of(journey, kill.victim, process.pid)):
            for pid in pids:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    return False
            if kill.victim == "rpt twice":
                time.sleep(0.4)
                if process.poll() is None:
                    process.send_signal(number)
            kill.num_made = len(journey.digests())
            return True
        time.sleep(0.05)
    return False


def judge(journey: Journey, process: subprocess.Popen[bytes], kills: list[Kill], num_wanted: int) -> None:
    """Wait for the end of a command and note at its last kill whatever was not as promised."""
    last, begin = kills[-1], time.monotonic()
    try:
        code = process.wait(RUN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
        last.faults.append(f"did not end within {RUN_SECONDS:.0f} s")
    words = journey.log.read_text(errors="replace")
    for kill in kills:
        kill.code, kill.ended_after, kill.words = code, time.monotonic() - begin, words
    promised = EXPECTED[last.victim, last.number].union(
        {0}, *(EXPECTED[kill.victim, kill.number] for kill in kills if kill.victim in SURVIVED)
    )
    if code not in promised:
        last.faults.append(f"exit code {code}")
    if last.too_late and last.victim.startswith("rpt") and last.num_made < num_wanted:
        last.faults.append(f"was not heard, with {last.num_made} of {num_wanted} artifacts made")
    if "Traceback" in words:
        last.faults.append(f"a traceback: {words[words.index('Traceback') :][-2000:]}")
    if code in (1, 75) and "rpt: " not in words:
        last.faults.append("no sentence")
    if "EventsWorker" in words:
        last.faults.append("Prefect's own errors")
    give_up = time.monotonic() + GONE_SECONDS
    while (left := journey.left()) and time.monotonic() < give_up:
        time.sleep(0.1)
    last.faults.extend(f"left: {one}" for one in left)


def undisturbed(folder: Path) -> tuple[dict[str, str], float]:
    """Digests of the journey as it is, and its seconds."""
    journey, begin = Journey(folder), time.monotonic()
    left_alone(journey, journey.start())
    return journey.digests(), time.monotonic() - begin


def left_alone(journey: Journey, process: subprocess.Popen[bytes]) -> None:
    """Let the journey end by itself, or end it and fail."""
    try:
        code = process.wait(RUN_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()  # its watcher takes the rest
        process.wait()
        raise
    if code:
        raise AssertionError(f"left alone, it ended with {code}:\n{journey.log.read_text()[-3000:]}")


def struck(
    journey: Journey, process: subprocess.Popen[bytes], rng: random.Random, most: int, latest: float
) -> list[Kill]:
    """Kill until one kill ends the command, or the command ends, or no kill is left."""
    kills: list[Kill] = []
    while len(kills) < most and (not kills or kills[-1].victim in SURVIVED):
        victim, number = rng.choice(list(EXPECTED))
        kill = Kill(victim, number, round(rng.uniform(EARLIEST_SECONDS, latest), 2))
        if not strike(journey, process, kill):
            break
        kills.append(kill)
    return kills


def one_round(result: Round, journey: Journey, rng: random.Random, most: int, latest: float) -> None:
    """Kill and repeat in one state folder until the journey is done; then see what is there."""
    begin, memory, code = time.monotonic(), shared_memory(), None
    while code != 0:
        process = journey.start()
        kills = struck(journey, process, rng, most - len(result.kills), latest)
        if kills:
            judge(journey, process, kills, len(result.wanted))
            code = kills[-1].code
        else:
            left_alone(journey, process)
            code = 0
        for kill in kills:
            (result.too_late if kill.too_late else result.kills).append(kill)
            tell(kill)
    result.left = [*journey.left(), *journey.half_written(), *sorted(shared_memory() - memory)]
    wanted, found = result.wanted, journey.digests()
    result.num_compared = len(found)
    result.differing = sorted(
        name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
    )
    result.seconds = time.monotonic() - begin


def tell(kill: Kill) -> None:
    """One line a kill."""
    last = next((line for line in reversed(kill.words.splitlines()) if line.startswith("rpt: ")), "")
    print(
        f"  {kill.number:<8}{kill.victim:<16} after {kill.after:5.1f} s, {kill.num_made:2d} made: "
        f"exit {kill.code} {'(too late) ' if kill.too_late else ''}"
        f"{kill.ended_after:5.1f} s later  {'; '.join(kill.faults) or last[:110]}",
        flush=True,
    )


def run(kills: int, seed: int, folder: Path, real: bool = False) -> list[Round]:
    """All of it; prints as it goes. With a real S3 server, all rounds are over that."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a background shell's: children would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    rng, rounds = random.Random(seed), list[Round]()
    wanted, seconds = undisturbed(folder / "undisturbed")
    assert [name for name in wanted if name.startswith("report/")], f"no report among {sorted(wanted)}"
    print(f"undisturbed: {len(wanted)} artifacts, the report among them, in {seconds:.0f} s", flush=True)
    serving = seaweedfs(folder / "server") if real else moto()
    with serving as server, environment(server.environment()):
        bucket = f"s3://{server.new_place()}"
        while (spent := sum(len(one.kills) for one in rounds)) < kills:
            store = f"{bucket}/{len(rounds)}" if real or len(rounds) % 2 else ""
            print(f"round {len(rounds) + 1}, {'s3' if store else 'file'} store", flush=True)
            journey = Journey(folder / str(len(rounds)), store)
            rounds.append(Round("s3" if store else "file", wanted))
            one_round(rounds[-1], journey, rng, min(kills - spent, KILLS_PER_ROUND), seconds * LATEST_SHARE)
            last = rounds[-1]
            print(
                f"  compared {last.num_compared}, differing {last.differing or 0}, left {last.left or 0}, "
                f"{last.seconds:.0f} s",
                flush=True,
            )
    return rounds


def figures(rounds: list[Round]) -> str:
    """The table to be read at the end."""
    kills = [kill for one in rounds for kill in one.kills]
    late = [kill for one in rounds for kill in one.too_late]

    def counted(names: Iterable[str]) -> str:
        return ", ".join(f"{name} {count}" for name, count in sorted(Counter(names).items()))

    return "\n".join([
        f"kills {len(kills)} in {len(rounds)} rounds ({counted(one.store for one in rounds)})",
        f"by signal: {counted(kill.number for kill in kills)}",
        f"by victim: {counted(f'{kill.victim} {kill.number}' for kill in kills)}",
        f"by artifacts made before: {counted(f'{kill.num_made:2d}:' for kill in kills)}",
        f"exit codes: {counted(f'{kill.code}:' for kill in kills)}",
        f"signals that came too late, and are none of them: {len(late)}",
        f"not as promised: {sum(bool(kill.faults) for kill in (*kills, *late))}",
        f"digests compared {sum(one.num_compared for one in rounds)}, "
        f"differing {sum(len(one.differing) for one in rounds)}",
        f"left behind: {sum(len(one.left) for one in rounds)}",
    ])  # fmt: skip


def main() -> int:
    """By hand: 0 when everything was as promised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--real", action="store_true", help="over SeaweedFS (sh infra/setup_s3.sh)")
    parser.add_argument("--folder", type=Path, help="where state goes, kept afterwards")
    given = parser.parse_args()
    begin = time.monotonic()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="rpt-kills-"))
    rounds = run(given.kills, given.seed, folder, given.real)
    print(figures(rounds), f"\nseconds {time.monotonic() - begin:.0f}; {folder}", flush=True)
    bad = any(
        one.differing or one.left or any(kill.faults for kill in (*one.kills, *one.too_late))
        for one in rounds
    )
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
