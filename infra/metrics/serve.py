"""``python -m infra.metrics.serve WORDS``: ``mlflow server WORDS`` on the state folder's own database.

The database is made first, in one write: a server that is killed while it creates tables would leave a file
that no MLflow takes again.
"""

import sys

from infra.local.state import made_state_folder
from infra.metrics.server import make_database


def main() -> None:
    """Make the database and serve until a signal."""
    make_database(made_state_folder())
    from mlflow.cli import cli

    cli(["server", *sys.argv[1:]], prog_name="mlflow")


if __name__ == "__main__":
    main()
