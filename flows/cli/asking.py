"""The commands that ask a model: one text, or whole benchmarks."""

from typing import Annotated, Any

import typer

from flows.cli.words import Json, Placed, placement_of, prefect
from rpt_core.errors import RecipeError


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
    """Give a model a text: it continues it (plain), thinks and predicts (think), or solves it (solve).

    A thought is shown apart from the prediction or answer after it. Of what was said you read tokens,
    log-probability and entropy in nats, at temperature 1: a sum, or with --tokens token by token.
    """
    from flows.cli.commands.trial import try_text

    try_text(
        ref, text, placement_of(placement), with_tokens=tokens, as_json=as_json, form=form, samples=samples,
        temperature=temperature, max_new_tokens=max_new_tokens, seed=seed,
    )  # fmt: skip


def evaluate_model(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A Hugging Face folder, an artifact, or a hub id.")
    ],
    on: Annotated[
        str | None, typer.Option("--on", help="Benchmarks, by commas; all for those that --data has.")
    ] = None,
    harness: Annotated[
        str | None,
        typer.Option(help="Tasks of lm-evaluation-harness in place of --on; their data from --data."),
    ] = None,
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
    prompt: Annotated[str, typer.Option(help="think, chat or plain; else what fits the model.")] = "auto",
    chat: Annotated[bool, typer.Option("--chat", help="With --harness: in the model's chat form.")] = False,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    placement: Placed = "",
    as_json: Json = False,
) -> None:
    """Ask a model published benchmarks, without a recipe; what is left out is each benchmark's own.

    mmlu, mmlu_pro, gpqa_diamond, supergpqa, kor_bench, math500, amc23, minerva, aime24, aime25,
    olympiadbench, gsm8k, omni_math, next_token. Rerun to resume.
    """
    if (on is None) == (harness is None):
        raise RecipeError("name benchmarks with --on, or tasks of lm-evaluation-harness with --harness.")
    if harness is not None:
        drawn = {"--samples": samples, "--temperature": temperature, "--top-p": top_p}
        refused = [name for name, value in drawn.items() if value is not None]
        refused += [name for name, value in (("--mode", mode), ("--prompt", prompt)) if value != "auto"]
        _ask_harness(
            model, harness, data, placement, refused, as_json=as_json, limit=limit, shots=shots,
            max_new_tokens=max_new_tokens or 0, chat=chat, seed=seed,
        )  # fmt: skip
        return
    given = {
        "samples": samples, "temperature": temperature, "top_p": top_p, "max_new_tokens": max_new_tokens,
        "shots": shots,
    }  # fmt: skip
    named = {name: value for name, value in given.items() if value is not None}
    from flows.cli.commands.eval import checked, options_of, run_eval
    from rpt_core.recipes.benchmark_evaluation import BenchmarkOptions

    options = options_of(BenchmarkOptions, mode=mode, prompt=prompt, limit=limit, seed=seed, **named)
    where = placement_of(placement)
    names = checked(model, on or "", data, options)
    with prefect() as ready:
        run_eval(model, names, data, options, where, ready, as_json=as_json)


def _ask_harness(
    model: str, harness: str, data: str, placement: str, refused: list[str], *, as_json: bool, **given: Any
) -> None:
    if refused:
        raise RecipeError(
            f"{' and '.join(refused)} cannot be said beside --harness: a task of lm-evaluation-harness says "
            "itself how it is asked. Leave it out."
        )
    from flows.cli.commands.eval import checked_tasks, options_of, run_harness
    from rpt_core.recipes.harness_evaluation import HarnessOptions

    options, where = options_of(HarnessOptions, **given), placement_of(placement)
    names = checked_tasks(model, harness, data, options, where)
    with prefect() as ready:
        run_harness(model, names, data, options, where, ready, as_json=as_json)
