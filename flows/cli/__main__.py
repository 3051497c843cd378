"""The entry point of ``rpt``: signals are taken and the working folder is left out before anything else.

``python -m flows`` and ``python -m flows.cli`` put the working folder first among the places of modules,
where a ``typer.py`` among somebody's data would be run as ours; the installed ``rpt`` does not.
"""

import os
import sys
from collections.abc import Sequence

_STOPPED = "rpt: stopped."


def main() -> None:
    """Run the command line; never returns."""
    _leave_out_working_folder()
    from infra.runs import stops

    with stops.listening():
        try:
            code = _run()
            stops.close()
        except KeyboardInterrupt:  # when the command had ended, or said how it would
            stops.close()
            print(_STOPPED, file=sys.stderr)
            code = 75
        stops.flush()
    if "prefect" in sys.modules:  # its own hooks at exit wait without limit for a server that is gone
        os._exit(code)
    sys.exit(code)


def as_run(stage: str, recipe: str, words: Sequence[str]) -> None:
    """Run ``rpt run RECIPE --to STAGE WORDS``, for a flow's file that is run by itself; never returns.

    Args:
        stage: The last one.
        recipe: Where the words begin with no other.
        words: Of the command line.
    """
    chosen = [words[0], *words[1:]] if words and not words[0].startswith("-") else [recipe, *words]
    sys.argv = ["rpt", "run", *chosen, "--to", stage]
    main()


def _run() -> int:
    try:
        from flows.cli.app import app
        from flows.cli.guard import guarded
    except KeyboardInterrupt:
        print(f"{_STOPPED} Nothing was begun.", file=sys.stderr)
        return 75
    return guarded(lambda: app(standalone_mode=False), prepare=True)


def _leave_out_working_folder() -> None:
    """Drop what ``python -m`` put first, unless it is the clone itself, which may not be installed."""
    here = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
    if not sys.flags.safe_path and sys.path and sys.path[0] in {"", os.getcwd()} and os.getcwd() != here:
        del sys.path[0]
    os.environ["PYTHONSAFEPATH"] = "1"


if __name__ == "__main__":
    main()
