"""A real pretrained model from packages: converted right, proven by its likelihood, refused when wrong."""

import json
import os
from pathlib import Path

import pytest

from rpt_core.errors import IntegrityError, RecipeError, SourceError
from tests.tools import real_model
from tests.tools.real_model import Proof, build, check_sha256, gsm8k, main, proofs, prove, wikitext

DATA = Path(os.environ.get("RPT_TEST_DATA", "../shared/data"))
OWN = [Proof("own words", ("one two",), 2.8)]


def test_without_text_nothing_is_proven_and_nothing_built(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.delenv("RPT_TEST_DATA", raising=False)
    for data in ("", str(tmp_path), str(tmp_path / "nowhere")):
        assert main(["--out", str(tmp_path / "model"), "--data", data]) == 2
        said = capsys.readouterr().err
        assert "cannot be proven" in said
        assert "--text FILE" in said
    assert not (tmp_path / "model").exists()
    with pytest.raises(SourceError, match="looks right"):
        proofs("", [])


def test_own_prose_proves_it_too(tmp_path: Path):
    (tmp_path / "prose.txt").write_text("The lobster is blue.")
    (found,) = proofs("", [tmp_path / "prose.txt"])
    assert (found.limit_nats, found.documents) == (2.8, ("The lobster is blue.",))


def test_another_file_is_refused_with_both_digests(tmp_path: Path):
    (tmp_path / "a.whl").write_bytes(b"another")
    with pytest.raises(IntegrityError, match=r"a\.whl has the SHA-256 [0-9a-f]{64}, and 00 was expected"):
        check_sha256(tmp_path / "a.whl", "00")


@pytest.mark.parametrize("nats", [2.81, 4.26, float("nan")])
def test_a_likelihood_above_the_limit_is_refused(nats: float, monkeypatch, tmp_path: Path):
    monkeypatch.setattr(real_model, "nll_nats", lambda folder, proof: nats)
    with pytest.raises(IntegrityError, match="wrong order"):
        prove(tmp_path, OWN)
    monkeypatch.setattr(real_model, "nll_nats", lambda folder, proof: 2.79)
    assert prove(tmp_path, OWN) == {"own words": 2.79}


def test_a_folder_that_was_not_proven_is_not_taken(tmp_path: Path):
    (tmp_path / "model").mkdir()
    with pytest.raises(RecipeError, match="was not proven"):
        build(tmp_path / "model", OWN)
    (tmp_path / "model" / real_model.PROOF).write_text(json.dumps({"own words": 2.5}))
    assert build(tmp_path / "model", OWN) == {"own words": 2.5}  # made once


def test_what_is_not_proven_does_not_appear(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(real_model, "download", lambda scratch: (scratch, scratch))
    monkeypatch.setattr(real_model, "convert", lambda weights, reader, folder: folder.mkdir())
    monkeypatch.setattr(real_model, "nll_nats", lambda folder, proof: 4.26)
    with pytest.raises(IntegrityError):
        build(tmp_path / "models" / "model", OWN)
    assert list((tmp_path / "models").iterdir()) == []


@pytest.mark.realdata
@pytest.mark.long
@pytest.mark.timeout(900)
def test_rows_in_the_stored_order_are_refused_by_both_texts(tmp_path: Path, monkeypatch):
    """The real weights twice: right, and with the rows of q and k as GGUF stores them."""
    weights, reader = real_model.download(tmp_path)
    real_model.convert(weights, reader, tmp_path / "right")
    found = prove(tmp_path / "right", [gsm8k(DATA), wikitext(DATA)])
    assert list(found.values()) == pytest.approx([1.95, 2.55], abs=0.02)
    monkeypatch.setattr(real_model, "rotary_order", lambda rows, num_heads: rows)
    real_model.convert(weights, reader, tmp_path / "wrong")
    for proof in (gsm8k(DATA), wikitext(DATA)):
        with pytest.raises(IntegrityError, match="wrong order"):
            prove(tmp_path / "wrong", [proof])
