"""Chat templates, rendered so that a prompt is the same on every day and in every process.

Templates are those of the model's folder: Jinja source that transformers compiles in its sandbox. What
they could read from outside is taken away: the day is fixed, and chance (the filter ``random``, the
function ``lipsum``) is refused.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from rpt_core.errors import RecipeError

PROMPT_DAY = datetime(2024, 7, 26)
"""What ``strftime_now`` says in a chat template, whatever the day: part of what the prompt is.

26 July 2024 is the day that Llama 3.1's own template falls back to where it knows no date.
"""

Message = Mapping[Literal["role", "content"], str]


def render(
    template: str, messages: Sequence[Message], names: Mapping[str, str], *, answer: bool = True
) -> str:
    """A conversation as the model's chat template writes it.

    Args:
        template: Jinja source.
        messages: Turns, each a role and its content.
        names: The tokenizer's named special tokens (``bos_token`` ...).
        answer: Whether the words that open the assistant's answer follow.

    Raises:
        RecipeError: the template does not compile, or raises on these turns. A template is never half
            used: either it is the model's own form of a prompt or the user takes it out.
    """
    from transformers.utils.chat_template_utils import _compile_jinja_template

    try:
        compiled = _compile_jinja_template(template)
        compiled.environment.filters.pop("random", None)
        written: str = compiled.render(
            messages=[dict(message) for message in messages],
            tools=[],
            documents=None,
            add_generation_prompt=answer,
            strftime_now=_prompt_day,
            lipsum=None,
            **names,
        )
    except Exception as error:  # noqa: BLE001  (foreign source may raise anything)
        roles = ", ".join(message["role"] for message in messages)
        raise RecipeError(
            f"the model's chat template cannot write a conversation of {len(messages)} turns ({roles}): "
            f"{type(error).__name__}: {error}. Fix chat_template in the model's folder, or remove it to "
            "use plain headings."
        ) from None
    return written


def _prompt_day(format: str) -> str:
    return PROMPT_DAY.strftime(format)


def template_source(given: Any, jinja_file: bytes | None) -> str | None:
    """The chat template among a folder's settings; ``chat_template.jinja`` comes first.

    Args:
        given: ``chat_template`` of tokenizer_config.json: a string, or a list of named ones.
        jinja_file: Content of ``chat_template.jinja``, where there is one.
    """
    if jinja_file is not None:
        return jinja_file.decode()
    if isinstance(given, list):
        named = {one.get("name"): one.get("template") for one in given if isinstance(one, dict)}
        given = named.get("default")
    return given if isinstance(given, str) else None
