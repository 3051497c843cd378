"""A codec of the sample world's kind of text, and small corpora whose tokens have entropies."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # what is heavy is imported where it is asked for
    from infra.storage.store import Store
    from rpt_core.policy.codec import Codec


@pytest.fixture
def store(tmp_path: Path, monkeypatch) -> "Store":
    """The store that commands use: that of a state folder of the test's own."""
    from infra.storage.store import Store

    monkeypatch.setenv("RPT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RPT_STORE", raising=False)
    return Store(str(tmp_path / "home" / "store"), tmp_path / "home" / "cache")


@pytest.fixture(scope="module")
def codec(tmp_path_factory) -> "Codec":
    from rpt_core.policy.codec import Codec

    return Codec.train(["The clock shows 3. It rests on Monday. " * 20], 300, tmp_path_factory.mktemp("c"))


@pytest.fixture(scope="module")
def inputs(codec: "Codec", tmp_path_factory) -> dict[str, Path]:
    """All tokens equally hard."""
    from tests.unit.corpus.small_corpus import write_corpus
    from tests.unit.difficulty.small_difficulty import write_difficulty

    folder = write_difficulty(write_corpus(tmp_path_factory.mktemp("corpus"), 40), codec)
    return {"corpus": folder, "difficulty": folder}


@pytest.fixture(scope="module")
def uneven_inputs(codec: "Codec", tmp_path_factory) -> dict[str, Path]:
    """Tokens of all difficulties, by chance."""
    from tests.unit.corpus.small_corpus import write_corpus
    from tests.unit.difficulty.small_difficulty import write_uneven

    folder = write_uneven(write_corpus(tmp_path_factory.mktemp("corpus"), 60), codec)
    return {"corpus": folder, "difficulty": folder}
