"""The command line: ``rpt``. A recipe is chosen by name; there is no flag per field."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Annotated, Any

import typer

from infra.local.links import live_api_url
from infra.local.state import about_surroundings, made_state_folder, prefect_settings
from infra.runs import stops
from rpt_core.errors import EXIT_OUR_FAILURE, EXIT_TRY_AGAIN, EXIT_YOUR_INPUT, RecipeError, RptError

app = typer.Typer(
    name="rpt",
    help="Reinforcement learning on plain text: from Wikipedia, arXiv and problem sets to a scaling law.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "-p",
        "--param",
        metavar="NAME=VALUE",
        help="data=FILE|FOLDER, model=FOLDER|hub-id, seed=N, policy.steps=N.",
    ),
]
Placed = Annotated[
    str,
    typer.Option(
        "--placement",
        metavar="NAME=VALUE,...",
        help="gpus=1,engine=torch,dtype=bfloat16 ...; what is left out is taken from the machine.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="For machines.")]
Spoken = Annotated[str, typer.Argument(metavar="REF", help="name, name@3, kind/1a2b3c or 1a2b3c.")]


@app.command()
def demo(
    seeds: Annotated[str, typer.Option(help="Seeds, by commas; several are compared in one report.")] = "0",
) -> None:
    """The whole journey on the built-in sample world; minutes on a laptop, no account, no network."""
    numbers = [_seed(part) for part in seeds.split(",")]
    with _prefect() as ready:
        from flows.cli.run import run_demo

        run_demo(numbers, ready)


@app.command()
def study(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe; by the study, the tiny one.")] = "",
    seeds: Annotated[str, typer.Option(help="Seeds, by commas.")] = "0,1,2",
    about: Annotated[
        str, typer.Option(help="mid-training, table-1, rewards, positions or next-segment.")
    ] = "mid-training",
    arms: Annotated[str, typer.Option(help="Some of its arms, by semicolons, the reference first.")] = "",
    param: Parameters = None,
) -> None:
    """Several trainings from one start model at equal tokens: RMT or RLPT and its parts, RPT's variants."""
    numbers = tuple(_seed(part) for part in seeds.split(","))
    with _prefect() as ready:
        from flows.cli.run import run_study

        usual = {"mid-training": "tiny_rmt", "next-segment": "tiny_rlpt"}
        name = recipe or usual.get(about, "tiny_rpt")
        some = tuple(part.strip() for part in arms.split(";") if part.strip())
        run_study(name, numbers, some, _overrides(param), about, ready)


@app.command()
def plan(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe.")],
    param: Parameters = None,
    to: Annotated[str, typer.Option(help="Stop at this stage.")] = "report",
    placement: Placed = "",
    machine: Annotated[
        str,
        typer.Option("--machine", "--on-machine", metavar="NxKIND", help="Another one: 8xH100-80GB."),
    ] = "",
    answer_tokens: Annotated[
        int, typer.Option(min=0, help="Mean length of an answer, for the hours; 0 for the longest.")
    ] = 0,
    document_tokens: Annotated[int, typer.Option(min=0, help="The same of a document.")] = 0,
    as_json: Json = False,
) -> None:
    """What would be reused and what built, with memory, hours and price; nothing is touched."""
    from flows.cli.run import show_plan

    where, means = _placement(placement), (document_tokens, answer_tokens)
    show_plan(recipe, to, _overrides(param), where, machine, means, as_json=as_json)


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe.")],
    param: Parameters = None,
    to: Annotated[str, typer.Option(help="Stop at this stage.")] = "report",
    placement: Placed = "",
) -> None:
    """Make a recipe, and first whatever it stands on."""
    with _prefect() as ready:
        from flows.cli.run import run_recipe

        run_recipe(recipe, to, _overrides(param), ready, _placement(placement))


@app.command()
def up() -> None:
    """Prefect, MLflow and one worker per pool on this machine, until Ctrl-C."""
    from infra.local.stack import run_stack

    raise typer.Exit(run_stack(made_state_folder()))


@app.command()
def doctor(
    gpu: Annotated[
        bool, typer.Option("--gpu", help="GPUs, driver, NCCL, DeepSpeed and vLLM instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What works on this machine, what is missing, and the command that fixes it."""
    from flows.cli.run import show_doctor

    raise typer.Exit(show_doctor(as_json=as_json, gpu=gpu))


@app.command("ls")
def list_artifacts(
    recipes: Annotated[bool, typer.Option("--recipes", help="The named recipes instead.")] = False,
    kind: Annotated[str, typer.Option(help="Only this kind.")] = "",
    as_json: Json = False,
) -> None:
    """Every finished artifact of the store, newest first."""
    from flows.cli.show import list_recipes, list_store

    if recipes:
        list_recipes(as_json=as_json)
    else:
        list_store(kind, as_json=as_json)


@app.command()
def show(
    ref: Spoken,
    dropped: Annotated[str, typer.Option(help="Read the rows dropped for this reason.")] = "",
    rollouts: Annotated[bool, typer.Option("--rollouts", help="Read kept rollouts.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows to read.")] = 20,
    as_json: Json = False,
) -> None:
    """One artifact: recipe, parents, row counts, results, files."""
    from flows.cli.show import show_artifact, show_dropped, show_rollouts

    if dropped:
        show_dropped(ref, dropped, limit, as_json=as_json)
    elif rollouts:
        show_rollouts(ref, limit, as_json=as_json)
    else:
        show_artifact(ref, as_json=as_json)


@app.command()
def lineage(ref: Spoken, as_json: Json = False) -> None:
    """Everything an artifact stands on, as a tree."""
    from flows.cli.show import show_lineage

    show_lineage(ref, as_json=as_json)


@app.command()
def why(ref: Spoken) -> None:
    """Why an artifact is what it is: its recipe beside the defaults, and the digests it stands on."""
    from flows.cli.show import show_why

    show_why(ref)


@app.command()
def cost(ref: Spoken, as_json: Json = False) -> None:
    """Seconds and FLOPs of an artifact and of all it stands on, attempt by attempt."""
    from flows.cli.show import show_cost

    show_cost(ref, as_json=as_json)


@app.command()
def report(ref: Spoken) -> None:
    """Where a report's page lies."""
    from flows.cli.show import show_report

    show_report(ref)


@app.command()
def track(ref: Spoken) -> None:
    """Project an artifact's metrics to MLflow again, from its own record."""
    from flows.cli.show import track_again

    track_again(ref)


@app.command()
def verify(ref: Spoken) -> None:
    """Read every byte of an artifact again and compare it with its manifest."""
    from flows.cli.show import verify_artifact

    verify_artifact(ref)


@app.command("copy")
def copy_artifact(
    ref: Spoken,
    store: Annotated[str, typer.Argument(metavar="STORE", help="A folder, or s3://bucket/prefix.")],
    as_json: Json = False,
) -> None:
    """Copy an artifact and everything it stands on into another store."""
    from flows.cli.copies import copy_to

    copy_to(ref, store, as_json=as_json)


@app.command("compare")
def compare_some(
    first: Spoken,
    others: Annotated[list[str], typer.Argument(metavar="REF...", help="What is held against it.")],
    as_json: Json = False,
) -> None:
    """Artifacts of one kind: evaluations item by item, anything else by recipe, digests and results.

    Several are each held against the first. Names joined by commas are the runs of one method, by seed: then
    seeds are the unit, and methods are paired by seed.
    """
    from flows.cli.compare import compare_artifacts

    compare_artifacts(first, others, as_json=as_json)


@app.command()
def leaderboard(
    refs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[REFS...]", help="Evaluations, models or studies; all there are without any."
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="Of the page.")] = "Leaderboard",
    as_json: Json = False,
) -> None:
    """Evaluated checkpoints side by side: intervals, places that tests can tell apart, clean scores.

    A question is touched when the text a checkpoint was trained on shares a run of 13 words with it; every
    score stands there twice, on all questions and on those that are clean.
    """
    with _prefect() as ready:
        from flows.cli.leaderboard import show_leaderboard

        show_leaderboard(tuple(refs or ()), title, ready, as_json=as_json)


@app.command("try")
def try_model(
    ref: Annotated[str, typer.Argument(metavar="REF", help="An artifact, or a Hugging Face folder or id.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What the model is given.")],
    form: Annotated[str, typer.Option("--as", metavar="FORM", help="plain, think or solve.")] = "plain",
    samples: Annotated[int, typer.Option(min=1, help="Answers; several need a temperature.")] = 1,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest token.")] = 0.0,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 128,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn.")] = 0,
    tokens: Annotated[bool, typer.Option("--tokens", help="Every token by itself.")] = False,
    placement: Placed = "",
    as_json: Json = False,
) -> None:
    """Give a model a text: it goes on (plain), thinks and predicts (think), or solves it (solve).

    A thought is shown apart from the prediction or answer after it. Of what was said you read tokens,
    log-probability and entropy in nats, at temperature 1: a sum, or with --tokens token by token.
    """
    from flows.cli.trial import try_text

    try_text(
        ref, text, _placement(placement), with_tokens=tokens, as_json=as_json, form=form, samples=samples,
        temperature=temperature, max_new_tokens=max_new_tokens, seed=seed,
    )  # fmt: skip


@app.command("eval")
def evaluate_model(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A Hugging Face folder, an artifact, or a hub id.")
    ],
    on: Annotated[str, typer.Option("--on", help="Benchmarks, by commas; all for those that --data has.")],
    data: Annotated[str, typer.Option(help="Folder of benchmarks' folders; else they are fetched.")] = "",
    samples: Annotated[int | None, typer.Option("--samples", "-n", min=1, help="Answers to an item.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Items of each benchmark; 0 for all.")] = 0,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Longest answer.")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="0 takes the likeliest token.")] = None,
    top_p: Annotated[float | None, typer.Option(help="Share of the likeliest tokens that are drawn.")] = None,
    mode: Annotated[str, typer.Option(help="reasoning, few-shot, likelihood or plain.")] = "auto",
    shots: Annotated[
        int | None, typer.Option(min=0, help="Solved examples, where the mode has some.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    placement: Placed = "",
    as_json: Json = False,
) -> None:
    """Ask a model published benchmarks, without a recipe; what is left out is each benchmark's own.

    mmlu, mmlu_pro, gpqa_diamond, supergpqa, kor_bench, math500, amc23, minerva, aime24, aime25,
    olympiadbench, gsm8k, omni_math, next_token. The same command goes on where it was stopped.
    """
    given = {
        "samples": samples, "temperature": temperature, "top_p": top_p, "max_new_tokens": max_new_tokens,
        "shots": shots,
    }  # fmt: skip
    named = {name: value for name, value in given.items() if value is not None}
    from flows.cli.eval import checked, options_of, run_eval

    options, where = options_of(mode=mode, limit=limit, seed=seed, **named), _placement(placement)
    names = checked(model, on, data, options)
    with _prefect() as ready:
        run_eval(model, names, data, options, where, ready, as_json=as_json)


@app.command()
def replay(
    ref: Spoken,
    step: Annotated[int, typer.Option(min=1, help="Of the training, from 1.")],
    limit: Annotated[int, typer.Option(help="Answers to show.")] = 8,
    as_json: Json = False,
) -> None:
    """Take one step of a finished training again: its questions, thoughts and verdicts, by their digest."""
    from flows.cli.replays import replay_step

    replay_step(ref, step, limit, as_json=as_json)


@app.command()
def gc(
    older_than_hours: Annotated[float, typer.Option(help="Spare what is younger.")] = 24.0,
    yes: Annotated[bool, typer.Option("--yes", help="Remove; without it, only say what would go.")] = False,
) -> None:
    """Remove stored content that no artifact and no unfinished build names."""
    from flows.cli.show import collect_garbage

    collect_garbage(older_than_hours, remove=yes)


def _prefect() -> AbstractContextManager[Callable[[], None]]:
    """A Prefect server for this command; Prefect itself is imported inside, when its address is known."""
    from infra.local.own_server import prefect_at_hand

    return prefect_at_hand(made_state_folder())


def _seed(text: str) -> int:
    if not text.strip().isdecimal():
        raise RecipeError(f"--seeds: {text!r} is no whole number; write for example --seeds 0,1,2.")
    return int(text)


def _overrides(parameters: list[str] | None) -> Any:
    from flows.cli.parameters import parse
    from flows.recipes import Overrides

    return Overrides.parse_words(*parse(parameters or []))


def _placement(text: str) -> Any:
    from flows.cli.placements import parse_placement

    return parse_placement(text)


_RESUMES = "Rerun to resume from what is finished."
_STOPPED = {
    "run": _RESUMES,
    "demo": _RESUMES,
    "study": _RESUMES,
    "eval": _RESUMES,
    "leaderboard": _RESUMES,
    "copy": "What was copied stays, and a rerun resumes.",
    "gc": "What was removed is gone, nothing else was touched, and a rerun resumes.",
    "track": "MLflow may show a part; the same command completes it.",
    "up": "Nothing of it is left running, and the same command starts it again.",
}
_TYPER_INTERRUPTED = 130
"""What Typer returns for a KeyboardInterrupt, which it does not hand on."""


def guarded(command: Callable[[], object], *, prepare: bool = False) -> int:
    """Run a command; an error that is ours, or of the words typed, becomes a sentence and an exit code.

    Args:
        command: Typer's application, called.
        prepare: Set up Prefect's surroundings first.
    """
    with stops.listening():
        try:
            if prepare:
                prepare_prefect()
            code = command()
        except BaseException as error:  # noqa: BLE001  (told, or raised again)
            return _told(error)
        if code == _TYPER_INTERRUPTED:
            return _told(KeyboardInterrupt())
        return code if isinstance(code, int) else 0


def _told(error: BaseException) -> int:
    """Say how a command ended, in one sentence wherever a person can do something about it.

    Raises:
        BaseException: the error itself, when it is a fault of this program.
    """
    if isinstance(error, RptError):
        return _say(str(error), error.exit_code)
    if isinstance(error, KeyboardInterrupt) or stops.asked():
        name = next((word for word in sys.argv[1:] if word in _STOPPED), "")
        return _say(f"stopped. {_STOPPED.get(name, 'Nothing was changed.')}", EXIT_TRY_AGAIN)
    show_usage = getattr(error, "show", None)  # Typer's own errors say what was wrong with the words
    if show_usage is not None:
        show_usage()
        return EXIT_YOUR_INPUT
    if isinstance(error, BrokenPipeError):  # the reader of our output has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115  (so that the flush at exit does not fail, too)
        return EXIT_OUR_FAILURE
    if isinstance(error, OSError) and (told := about_surroundings(error)) is not None:
        return _say(*told)
    if (away := _service_away(error)) is not None:
        return _say(away, EXIT_TRY_AGAIN)
    raise error


def _say(sentence: str, code: int) -> int:
    print(f"rpt: {sentence}", file=sys.stderr)
    return code


_CLIENTS = frozenset({"httpx", "httpcore", "websockets"})
"""What Prefect talks to its server with."""
_REFUSALS = frozenset({"PrefectHTTPStatusError", "PrefectHTTPError"})


def _service_away(error: BaseException) -> str | None:
    """A sentence when Prefect's server is behind an error, however deep Prefect has wrapped it."""
    cause: BaseException | None = error
    while cause is not None:
        kind = type(cause)
        client = kind.__module__.partition(".")[0] in _CLIENTS
        if client or kind.__name__ in _REFUSALS or "Prefect API" in str(cause):
            where = os.environ.get("PREFECT_API_URL") or "an address of its own"
            return (
                f"Prefect's server at {where} did not answer ({kind.__name__}). "
                "No finished work is lost: rerun to resume from what is finished."
            )
        cause = cause.__cause__ or cause.__context__
    return None


def prepare_prefect() -> None:
    """Keep Prefect's state in our folder, its telemetry off, and its tracebacks out of the reader's way.

    Raises:
        RecipeError: the state folder cannot be made.
    """
    settings = {
        **prefect_settings(made_state_folder()),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_LOGGING_LEVEL": "CRITICAL",
        "PREFECT_INTERNAL_LOGGING_LEVEL": "CRITICAL",
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)
    live_api_url()
