"""`rpt try`: what a model says of one text, and how sure it was of it."""

from dataclasses import asdict
from typing import Any

from rich.padding import Padding
from rich.text import Text

from flows.cli.commands.show import console, print_json, print_table
from rpt_core.artifacts.placement import Placement
from rpt_core.errors import RecipeError
from tasks.home import open_store


def try_text(
    name: str,
    text: str,
    placement: Placement,
    *,
    with_tokens: bool,
    as_json: bool,
    **asked: Any,
) -> None:
    """Ask the model and print its answers.

    Args:
        name: Of the model: a folder, an artifact or a hub id.
        text: What it is given.
        placement: Where and how it runs.
        with_tokens: Print every token with its log-probability and entropy, not the sum alone.
        as_json: One document, tokens and all.
        asked: Fields of :class:`rpt_core.evaluation.trial.Request`.

    Raises:
        RecipeError: there is no such model, or the text cannot be put to it.
    """
    from rpt_core.evaluation.trial import Request
    from tasks.commands.trial import try_model
    from tasks.inputs.models import find_model, local_folder

    _refuse_no_unicode(text)
    request, store = Request(text, **asked), open_store()
    found = find_model(name, store)
    folder = local_folder(found, store)
    trunk, answers = try_model(found, folder, request, placement, store)
    if as_json:
        model = found.manifest.artifact.model_dump() if found.manifest else {"folder": str(folder)}
        rows = [_plain(said) for said in answers]
        print_json(
            {"model": model, "as": request.form, "text_tokens": len(trunk.document_ids), "answers": rows}
        )
        return
    drawn = f"temperature {request.temperature:g}" if request.temperature else "greedy"
    head = f"  as {request.form}, {drawn}, {len(trunk.document_ids)} tokens of text"
    console.print(Text.assemble((found.name, "bold"), head))
    for said in answers:
        _print(said, request.form, with_tokens=with_tokens)


def _refuse_no_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise RecipeError("the text is not valid Unicode (UTF-8); give it in UTF-8.") from None


def _plain(said: Any) -> dict[str, Any]:
    return {
        **asdict(said),
        "num_tokens": len(said.tokens),
        "logprob_nats": said.logprob_nats,
        "entropy_nats": said.entropy_nats,
        "perplexity": said.perplexity,
    }


def _print(said: Any, form: str, *, with_tokens: bool) -> None:
    console.print()
    if form == "plain":
        console.print(Padding(Text(said.text), (0, 0, 0, 2)))
    else:
        name = "prediction" if form == "think" else "answer"
        unread = "none could be read" if said.finish == "stop" else "none: it was cut off before its end"
        print_table(
            ["", ""],
            [
                ["thought", said.thought] if said.thought else ["said", said.text],
                [name, repr(said.prediction) if said.is_read else unread],
            ],
        )
    if with_tokens:
        print_table(
            ["token", "log-probability", "entropy"],
            ([repr(t.text), f"{t.logprob_nats:.3f}", f"{t.entropy_nats:.3f}"] for t in said.tokens),
        )
    num = len(said.tokens)
    end = "ended by itself" if said.finish == "stop" else "cut off"
    console.print(
        f"{num} tokens, {end}; log-probability {said.logprob_nats:.2f} nats ({said.logprob_nats / num:.3f} a "
        f"token, perplexity {said.perplexity:.2f}), entropy {said.entropy_nats:.3f} nats a token.",
        style="dim", soft_wrap=True,
    )  # fmt: skip
