"""What a page says it is about: text, model, compute and hours, read from manifests."""

import pytest

from flows.recipes import Overrides, any_journey
from rpt_core.artifacts.manifest import Manifest
from rpt_core.report.ran import what_it_took, what_ran
from rpt_core.report.sources import SourceArtifact
from tests.unit.evaluation.tables import manifest_of


def source(kind: str, name: str, **fields) -> SourceArtifact:
    manifest = Manifest.model_validate(manifest_of(kind, name) | fields)
    return SourceArtifact(kind, manifest.fingerprint, manifest.digest, manifest)


def outcome(**fields):
    return {"rows": {}, "flops": 0.0, "tokens": 0, "summary": {}} | fields


def lines(*sources) -> dict[str, str]:
    return {line.name: line.text for line in (*what_ran(sources), *what_it_took(sources))}


FILES = [{"name": "a.txt", "sha256": "0" * 64, "num_bytes": 1_200_000}] * 3


def test_own_text_and_own_model_are_called_by_their_names():
    own = source("documents", "d", recipe={"data": "/home/me/my-notes", "files": FILES})
    model = {"name": "/models/smollm2-135m", "hub_revision": "main"}
    base = source("base", "b", recipe={"model": model}, outcome=outcome(summary={"parameters": 134_515_008}))
    assert lines(own, base) == {
        "Text": "my-notes (3 files, 3.6MB)",
        "Model": "smollm2-135m, 135M parameters",
        "Time": "25 s of all stages together, 2 attempts",
    }


def test_sample_worlds_of_several_seeds_are_one_text():
    worlds = [source("documents", str(n), recipe={"sample": {"seed": n}, "files": []}) for n in (0, 1, 2)]
    assert lines(*worlds)["Text"] == "the sample world, seeds 0, 1, 2"
    assert lines(worlds[1])["Text"] == "the sample world, seed 1"


def test_a_model_that_was_only_a_proxy_is_not_the_model():
    proxy = source("base", "proxy", recipe={"model": {"name": "org/proxy"}})
    base = source("base", "start", recipe={"model": {"name": "org/start"}})
    of = lambda one: {"kind": "base", "fingerprint": one.fingerprint, "digest": one.digest}  # noqa: E731
    difficulty = source("difficulty", "d", parents={"proxy": of(proxy)})
    policy = source("policy", "p", parents={"start": of(base)})
    assert lines(proxy, base, difficulty, policy)["Model"] == "start"
    both = source("cold-start", "c", parents={"base": of(proxy)})
    assert lines(proxy, difficulty, both)["Model"] == "proxy", "asked for difficulty and trained from"


def test_hours_count_every_attempt():
    attempts = [
        {"started": "2027-01-01T00:00:00+00:00", "seconds": 3000.0, "outcome": end, "host": {"name": host}}
        for end, host in (("failed", "a"), ("done", "b"))
    ]
    one = source("policy", "p", attempts=attempts, outcome=outcome(flops=2e12, tokens=1500))
    told = lines(one)
    assert told["Compute"] == "2T operations, 1\u2009500 tokens"
    assert told["Time"].startswith("1 h 40 min of all stages together, 2 attempts, on 2 machines")


def test_outcomes_that_were_taken_from_files_took_their_time_elsewhere():
    taken = [source("outcomes", str(n), recipe={"stage": "take-outcomes"}) for n in range(3)]
    made = source("outcomes", "made", recipe={"stage": "gather-outcomes"})
    told = lines(*taken, made)["Time"]
    assert told.endswith("; the trainings behind 3 taken outcomes are not among them")
    assert "taken" not in lines(made)["Time"]


@pytest.mark.parametrize(
    ("name", "chosen", "title"),
    [
        ("tiny_rpt", {}, "RPT on the sample world"),
        ("tiny_rpt", {"data": "/home/me/my-notes/"}, "RPT on my-notes"),
        ("tiny_rmt", {"data": "n.txt", "model": "org/base"}, "RMT on n.txt, with base"),
        ("tiny_rlpt", {"data": "n.txt"}, "RLPT on n.txt"),
        ("rpt_small", {"data": "s3://bucket/corpus.parquet"}, "RPT, small: corpus.parquet"),
    ],
)
def test_a_title_says_whose_text_and_model_ran(name, chosen, title):
    assert any_journey(name, Overrides(**chosen)).title == title


def test_a_title_of_the_readers_own_stays():
    chosen = Overrides(data="notes", fields={"report.title": "Mine"})
    assert any_journey("tiny_rpt", chosen).title == "Mine"
