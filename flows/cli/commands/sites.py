"""`rpt site`: an index page of all runs."""

from pathlib import Path

from flows.cli.commands.show import console, relative
from infra.local.state import made_state_folder
from tasks.commands.site import make_site
from tasks.home import open_store


def show_site(folder: str) -> None:
    """Write the site and say where it is."""
    target = Path(folder) if folder else made_state_folder() / "site"
    index, num = make_site(target, open_store())
    console.print(f"{relative(index)} lists {num} artifacts.", soft_wrap=True, markup=False)
