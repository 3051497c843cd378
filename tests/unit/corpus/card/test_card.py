import itertools
import json
import random
import re
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpt_core.artifacts.build import VIEW_FILES, VOLATILE_FILES, LocalBuild
from rpt_core.artifacts.digest import artifact_digest, logical_digest
from rpt_core.artifacts.manifest import FileEntry
from rpt_core.artifacts.recipe import Ref
from rpt_core.corpus.card.page import write_views
from rpt_core.corpus.card.statistics import AXES, Lengths, Measured
from rpt_core.corpus.clean.quality import broken_rules, limits, measure
from rpt_core.corpus.files.plain import TEXT
from rpt_core.corpus.ingest import ingest
from rpt_core.corpus.prepare import prepare
from rpt_core.corpus.text.shield import without
from rpt_core.corpus.text.words import split_words
from rpt_core.recipes.corpus import IngestRecipe, PrepareRecipe, SampleWorld
from tests.unit.corpus.test_prepare import tale, write
from tests.unit.report.test_report import Page

NAMES = ("card.json", "card.html", "page.md")


def lengths_of(values):
    lengths = Lengths()
    for value in values:
        lengths.add(value)
    return lengths


def cards(folder, data=None, mapper=map, **options):
    """Both stages; the folders they wrote."""
    chosen = (
        IngestRecipe(data=str(data))
        if data
        else IngestRecipe(sample=SampleWorld(num_documents=60, num_problems=30))
    )
    ingest(chosen, LocalBuild({}, folder / "documents", folder / "s1"))
    build = LocalBuild({"documents": folder / "documents"}, folder / "corpus", folder / "s2", mapper=mapper)
    prepare(PrepareRecipe(documents=Ref(ref="x"), **options), build)
    return folder / "documents", folder / "corpus"


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return cards(tmp_path_factory.mktemp("sample"))


@given(st.lists(st.integers(0, 10_000), min_size=1))
def test_lengths_are_exact(values):
    found = lengths_of(values).described()
    ranked = sorted(values)
    assert (found["documents"], found["chars"]) == (len(values), sum(values))
    # the type as well: one corpus must not write 3 where another writes 3.0
    assert repr(found["median_chars"]) == repr(statistics.median(values))
    assert (found["min_chars"], found["max_chars"]) == (ranked[0], ranked[-1])
    assert found["low_chars"] == ranked[int(0.05 * (len(values) - 1))]
    assert found["high_chars"] == ranked[int(0.95 * (len(values) - 1))]


@given(st.lists(st.integers(0, 5_000_000), min_size=1))
def test_a_histogram_of_lengths_has_every_document_in_its_bin(values):
    found = lengths_of(values).described()
    edges, counts = found["edges"], found["counts"]
    assert edges == sorted(set(edges))
    assert counts == [sum(low <= value < high for value in values) for low, high in itertools.pairwise(edges)]
    assert sum(counts) == len(values)
    assert counts[0]
    assert counts[-1]
    assert all(high <= max(1.25 * low, low + 1) for low, high in itertools.pairwise(edges))


def test_lengths_take_no_more_memory_for_more_documents():
    few, many = lengths_of(range(100)), lengths_of(number % 100 for number in range(50_000))
    assert len(many._counts) == len(few._counts)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 3), st.booleans())), st.randoms())
def test_measures_counted_in_shards_in_any_order_are_those_counted_at_once(rows, rng: random.Random):
    whole, shards = Measured(), [Measured() for _ in range(3)]
    for source, value, broken in rows:
        for target in (whole, rng.choice(shards)):
            target.add(source, {"stem": value, "num_words": 3}, ["word_chars"] if broken else [])
    rng.shuffle(shards)
    joined = Measured()
    for shard in shards:
        joined.merge(shard)
    assert joined == whole
    for source in whole.counts:
        assert sum(whole.counts[source]["stem"]) == whole.documents[source]


@pytest.mark.parametrize("name", AXES)
def test_no_value_falls_off_an_axis(name):
    axis = AXES[name]
    bins = [axis.bin_of(value) for value in (-1e9, axis.low, axis.high, 1e9)]
    assert bins == [0, 0, axis.num_bins - 1, axis.num_bins - 1]


def test_all_broken_rules_are_told_and_lie_beyond_their_limits():
    text = "\n".join(["- buy now cheap offer ..."] * 60)
    prose = without(text)
    metrics = measure(text, prose, split_words([prose]), 0)
    broken = broken_rules(metrics, prose, TEXT.profile, "en", 5, True)
    assert {rule.measure for rule in broken} >= {"bullet_share", "ellipsis_share", "repeated_line_share"}
    for rule in broken:
        low, high = limits(TEXT.profile)[rule.measure]
        value = getattr(metrics, rule.measure)
        assert (low is not None and value < low) or (high is not None and value > high)
    assert broken_rules(metrics, prose, TEXT.profile, "en", 5, False) == []


def test_the_card_balances_with_the_tables(sample):
    import pyarrow.parquet as pq

    _, corpus = sample
    card = json.loads((corpus / "card.json").read_text())
    report = json.loads((corpus / "report.json").read_text())
    documents = pq.read_table(corpus / "documents.parquet", columns=["source", "text", "metrics"]).to_pylist()
    assert card["rows"] == report["rows"]
    for source, found in card["lengths"].items():
        chars = [len(row["text"]) for row in documents if row["source"] == source]
        assert (sum(found["counts"]), found["chars"]) == (len(chars), sum(chars))
        assert report["lengths"][source].items() <= found.items()
    dropped = pq.read_table(corpus / "dropped.parquet").to_pylist()
    for source, found in card["measures"].items():
        measured = sum(row["source"] == source for row in documents)
        measured += sum(row["source"] == source and row["reason"] != "control-characters" for row in dropped)
        assert found["documents"] == measured
        assert all(sum(of["counts"]) == measured for of in found["of"].values())
        cut = sum(row["source"] == source and row["step"] == "quality" for row in dropped)
        assert bool(found["broken"]) == bool(cut)
    assert sum(map(int, card["cluster_sizes"].values())) > 0


@pytest.mark.parametrize("number", [0, 1])
def test_the_page_is_whole_and_loads_nothing(sample, number):
    html = (sample[number] / "card.html").read_text()
    page = Page(html)
    assert page.open == []
    assert page.loads == []
    assert html.count("<script>") == html.count("<script") == 1  # that of every page: tables that sort
    assert "prefers-color-scheme: dark" in html
    assert html.count("<svg") >= 3
    assert not re.search(r"#0d7a70(?!;)", html.split("<main>")[1]), "a colour that does not follow the theme"


def test_the_same_corpus_has_the_same_card_whoever_counted(sample, tmp_path):
    def backwards(function, items):
        """Shards done in another order and in other hands, given back in theirs."""
        import pickle

        found = [pickle.loads(pickle.dumps(function(item))) for item in reversed(list(items))]
        return iter(reversed(found))

    for first, again in zip(sample, cards(tmp_path, mapper=backwards), strict=True):
        for name in NAMES:
            assert (first / name).read_bytes() == (again / name).read_bytes(), name


def test_views_stand_outside_the_digest(sample):
    def digest(folder, leave_out=frozenset()):
        return artifact_digest(
            FileEntry(
                path=path.name,
                blob="0" * 64,
                num_bytes=0,
                digest=logical_digest(path),
                volatile=path.name in VOLATILE_FILES,
            )
            for path in folder.iterdir()
            if path.name not in leave_out
        )

    assert set(NAMES) == VIEW_FILES
    for folder in sample:
        assert digest(folder) == digest(folder, VIEW_FILES)
    assert digest(sample[1]) != digest(sample[1], {"card.md"})


def test_the_markdown_has_what_the_page_has(sample):
    documents, corpus = (folder / "page.md" for folder in sample)
    card = json.loads((sample[1] / "card.json").read_text())
    text = corpus.read_text()
    for source in card["rows"]["by_source"]:
        assert f"| {source} |" in text
    for reason, num in card["rows"]["dropped"].items():
        assert f"| {reason} | {num} |" in text
    for heading in ("Lengths", "Languages", "Duplicates", "Personal data", "Contamination", "break a rule"):
        assert heading in text
    assert "What was read" in documents.read_text()
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.endswith("|")


def test_names_from_the_data_stay_names(tmp_path):
    hostile = "a$b$ <script>alert(1)</script> | x"
    folder = tmp_path / "data" / "$x^ & <b>算術|y"
    rows = [{"problem": f"What is {i} plus {i}?", "answer": str(2 * i)} for i in range(5)]
    write(folder, "train.jsonl", [*rows, rows[0], {"problem": "", "answer": "1"}])
    write(tmp_path / "data", "t.jsonl", [{"title": hostile, "text": tale(i)} for i in range(3)])
    documents, corpus = cards(tmp_path, data=tmp_path / "data")
    card = json.loads((corpus / "card.json").read_text())
    assert any("算術" in source for source in card["rows"]["by_source"])
    for place in (documents, corpus):
        html = (place / "card.html").read_text()
        assert Page(html).open == []
        assert html.count("<script") == 1
        assert "<script>alert" not in html
        assert "<b>算" not in html


def test_a_card_of_nothing_but_problems_says_so(tmp_path):
    write(tmp_path / "data/sums", "train.jsonl", [{"problem": "What is 1 + 1?", "answer": "2"}])
    _, corpus = cards(tmp_path, data=tmp_path / "data")
    html = (corpus / "card.html").read_text()
    assert "No document was kept" in html
    assert Page(html).open == []


def test_many_reasons_and_sources_are_cut_but_lose_no_row(tmp_path):
    from rpt_core.corpus.card.figures import _steps
    from rpt_core.corpus.reasons import REASONS

    dropped = {reason: number + 1 for number, reason in enumerate(REASONS)}
    steps = _steps({"dropped": dropped}, list(REASONS))
    assert sum(num for _, num in steps) == sum(dropped.values())
    assert steps[-1][0] == "other reasons"
    one = {"rows_in": 10**12, "kept": 0, "dropped": {"too-short": 10**12}, "by_source": {}}
    rows = {**one, "by_source": {f"source {number}": one for number in range(40)}}
    card = {"stage": "ingest-corpus", "rows": rows, "reasons": {}, "lengths": {}, "tables": {}, "files": ""}
    write_views(tmp_path, {**card, "reasons": {"too-short": "short"}})
    html = (tmp_path / "card.html").read_text()
    assert html.count("<svg") == 8
    assert html.count("source 39") == 1
