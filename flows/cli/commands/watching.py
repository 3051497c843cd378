"""`rpt watch`: a stage as it goes on, on the terminal and as a page that reads itself again."""

import sys
import time

from flows.cli.commands.show import console, relative
from infra.local.state import made_state_folder
from rpt_core.overview.live import write_live_page
from tasks.commands.live import watch
from tasks.home import open_store


def watch_stage(ref: str, every_seconds: int, *, once: bool) -> None:
    """Look, write the page, say a line; again until the stage has ended.

    Args:
        ref: What to watch; empty for what runs now.
        every_seconds: Between two looks.
        once: Look once.
    """
    told = ""
    for seen in watch(ref, open_store()):
        name = seen.title.partition(", ")[2].replace("/", "-")
        page = made_state_folder() / "watch" / f"{name}.html"
        write_live_page(seen, page, every_seconds)
        if not told:
            console.print(f"page: {relative(page)}", soft_wrap=True, markup=False)
        line = seen.line
        if line != told:
            is_live = sys.stdout.isatty() and told
            print(f"\033[F\033[K{line}" if is_live else line, flush=True)  # noqa: T201
            told = line
        if once or seen.state != "runs":
            return
        time.sleep(every_seconds)
