"""The commands that build something: a journey, a study, a plan, the services."""

from typing import Annotated

import typer

from flows.cli.words import Json, Parameters, Placed, Spoken, overrides, placement_of, prefect
from flows.named_seeds import arms_of, seeds_of
from infra.local.state import made_state_folder
from rpt_core.errors import RecipeError

TUNED = ("imperfect-teacher", "shorter-thoughts", "next-segments")
"""Studies whose arms are tuned."""
REAL_TEXT = "real-text"
"""The study whose held-out rows are problems."""
AFTER_TEXT = ("verifiable-rewards", "rlvr-after-rmt", "rlvr-after-rlpt")
"""Studies of verifiable rewards on top of a training on text."""
KEEP_OUTCOMES = (*TUNED, *AFTER_TEXT, "dose-response", "other-text", "sizes", REAL_TEXT)
"""Studies whose outcomes are files."""
USUAL = {
    "mid-training": "tiny_rmt", "shorter-thoughts": "tiny_rmt", "next-segment": "tiny_rlpt",
    "next-segments": "tiny_rlpt", "rlvr-after-rmt": "tiny_rmt", "rlvr-after-rlpt": "tiny_rlpt",
    REAL_TEXT: "smollm2_gsm8k",
}  # fmt: skip
"""Recipes of studies that are not about ``tiny_rpt``."""


def demo(
    seeds: Annotated[str, typer.Option(help="Seeds, by commas; several are compared in one report.")] = "0",
) -> None:
    """The whole journey on the built-in sample world; minutes on a laptop, no account, no network."""
    numbers = list(seeds_of(seeds))
    with prefect() as ready:
        from flows.cli.commands.run import run_demo

        run_demo(numbers, ready)


def study(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe; by the study, the tiny one.")] = "",
    seeds: Annotated[str, typer.Option(help="Seeds: 0,1,2 or 100-107.")] = "0,1,2",
    about: Annotated[
        str,
        typer.Option(
            help="mid-training, table-1, rewards, positions, rlvr, next-segment, imperfect-teacher, "
            "shorter-thoughts, next-segments, verifiable-rewards, rlvr-after-rmt, rlvr-after-rlpt, "
            "dose-response, other-text, sizes or real-text."
        ),
    ] = "mid-training",
    arms: Annotated[
        str,
        typer.Option(
            help="Some of its arms, by semicolons, the reference first; RPT@100-115: with seeds of its own."
        ),
    ] = "",
    check_holdout: Annotated[
        str,
        typer.Option(
            "--check-holdout", metavar="REF|FOLDER", help="Count held-out questions in what trains instead."
        ),
    ] = "",
    param: Parameters = None,
    placement: Placed = "",
    keep_outcomes: Annotated[
        str,
        typer.Option(metavar="FOLDER", help="What it holds is done; what is run is kept there."),
    ] = "",
    tune: Annotated[
        bool, typer.Option("--tune", help="Its tuning runs instead: seven for each arm.")
    ] = False,
    claims: Annotated[
        str,
        typer.Option(metavar="FILE", help="Write the table of claims from kept outcomes; nothing is run."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Several trainings from one start model: RMT or RLPT and its parts, RPT's variants and controls.

    About imperfect-teacher, --keep-outcomes docs/study/outcomes goes on where another machine ended, and
    --claims docs/claims.md writes what is known of the papers' claims.
    """
    if check_holdout and about == REAL_TEXT:
        from flows.cli.commands.holdout import show_problem_holdout

        show_problem_holdout(check_holdout, as_json=as_json)
        return
    if check_holdout:
        from flows.cli.commands.holdout import show_holdout

        show_holdout(check_holdout, as_json=as_json)
        return
    numbers = seeds_of(seeds)
    if claims:
        from flows.cli.commands.studies import write_claims

        write_claims(claims, keep_outcomes)
        return
    if keep_outcomes and about not in KEEP_OUTCOMES:
        raise RecipeError(
            f"--keep-outcomes is of the studies {', '.join(KEEP_OUTCOMES)}, and this one is about {about}. "
            "Add --about with one of them."
        )
    if tune and about not in TUNED:
        raise RecipeError(
            f"--tune is of the studies {', '.join(TUNED)}, and this one is about {about}. Add --about "
            "with one of them."
        )
    with prefect() as ready:
        from flows.cli.commands.run import run_study

        name = recipe or USUAL.get(about, "tiny_rpt")
        some = arms_of(arms)
        where = placement_of(placement)
        run_study(name, numbers, some, overrides(param), about, ready, keep_outcomes, where, tune=tune)


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
    peek: Annotated[
        bool, typer.Option("--peek", help="Read the first rows of the text: kept, dropped, examples.")
    ] = False,
    about: Annotated[str, typer.Option(help="Plan a study of the recipe, such as imperfect-teacher.")] = "",
    seeds: Annotated[str, typer.Option(help="Seeds of the study: 0,1,2 or 100-107.")] = "0,1,2",
    arms: Annotated[str, typer.Option(help="Some of its arms, by semicolons.")] = "",
    keep_outcomes: Annotated[str, typer.Option(metavar="FOLDER", help="Outcomes that are done.")] = "",
    as_json: Json = False,
) -> None:
    """What would be reused and what built, with memory, hours and price; nothing is touched."""
    from flows.cli.commands.run import show_peek, show_plan

    if about:
        from flows.cli.commands.studies import show_study_plan

        numbers = seeds_of(seeds)
        some = arms_of(arms)
        show_study_plan(recipe, numbers, some, overrides(param), about, keep_outcomes, as_json=as_json)
        return
    if peek:
        show_peek(recipe, to, overrides(param), as_json=as_json)
        return
    where, means = placement_of(placement), (document_tokens, answer_tokens)
    show_plan(recipe, to, overrides(param), where, machine, means, as_json=as_json)


def run(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe.")],
    param: Parameters = None,
    to: Annotated[str, typer.Option(help="Stop at this stage.")] = "report",
    placement: Placed = "",
) -> None:
    """Make a recipe, and first whatever it stands on."""
    with prefect() as ready:
        from flows.cli.commands.run import run_recipe

        run_recipe(recipe, to, overrides(param), ready, placement_of(placement))


def up() -> None:
    """Prefect, MLflow and one worker per pool on this machine, until Ctrl-C."""
    from infra.local.stack import run_stack

    raise typer.Exit(run_stack(made_state_folder()))


def doctor(
    gpu: Annotated[
        bool, typer.Option("--gpu", help="GPUs, driver, NCCL, DeepSpeed and vLLM instead.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What works on this machine, what is missing, and the command that fixes it."""
    from flows.cli.commands.run import show_doctor

    raise typer.Exit(show_doctor(as_json=as_json, gpu=gpu))


def replay(
    ref: Spoken,
    step: Annotated[int, typer.Option(min=1, help="Of the training, from 1.")],
    limit: Annotated[int, typer.Option(help="Answers to show.")] = 8,
    as_json: Json = False,
) -> None:
    """Take one step of a finished training again: its questions, thoughts and verdicts, by their digest."""
    from flows.cli.commands.replays import replay_step

    replay_step(ref, step, limit, as_json=as_json)
