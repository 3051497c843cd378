"""A password in an address: refused where it would be recorded, hidden where an address is told."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.cli.app import app
from flows.cli.guard import guarded
from infra.local.doctor import Check
from infra.metrics.tracking import _guarded
from infra.network.download import parse_address
from rpt_core.addresses import without_password
from rpt_core.artifacts.recipe import Ref
from rpt_core.errors import BY_NAME, RecipeError, SourceError
from rpt_core.llm.endpoint import LOGIN_VARIABLE, Service
from rpt_core.objectives.next_segment.judge_service import ServiceJudge
from rpt_core.recipes.corpus import QualityRecipe
from rpt_core.recipes.judged_evaluation import JudgedEvaluationRecipe
from rpt_core.recipes.reinforce import RlptRecipe
from tests.local_server import Quiet, serving

NOWHERE = Ref(ref="x@1")
SECRET = "hunter2"
WITH_SECRET = (
    f"http://user:{SECRET}@judge:8000/v1",
    f"https://{SECRET}@judge/v1",
    f"http://user:p@{SECRET}@judge/v1",
    f"http://user:{SECRET}/x@judge/v1",
    f"https://judge/v1?api_key={SECRET}",
    f"https://judge/v1?a=1&access_token={SECRET}&b=2",
)
RECIPES = {
    "rlpt": lambda url: RlptRecipe.parse(
        {"corpus": NOWHERE, "start": NOWHERE, "judge_model": "m", "judge_url": url}
    ),
    "judged": lambda url: JudgedEvaluationRecipe.parse(
        {"corpus": NOWHERE, "model": NOWHERE, "judge_model": "m", "judge_url": url}
    ),
    "quality": lambda url: QualityRecipe.parse(
        {"documents": NOWHERE, "scorer_model": "m", "scorer_url": url}
    ),
}


@pytest.mark.parametrize("make", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("url", WITH_SECRET)
def test_a_recipe_takes_no_password_and_says_where_it_goes(make, url):
    with pytest.raises(RecipeError, match="RPT_JUDGE_LOGIN=<user>:<password>") as found:
        make(url)
    assert SECRET not in str(found.value)
    assert SECRET not in repr(found.value.__context__), "pydantic's own words would end in a log"


@pytest.mark.parametrize("make", RECIPES.values(), ids=RECIPES)
@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "https://judge.example/a@b/v1?model=x"])
def test_an_address_without_one_is_kept_as_it_is(make, url):
    assert url in make(url).model_dump_json()


def test_no_command_prints_it_or_writes_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RPT_HOME", str(tmp_path))
    url = f"http://user:{SECRET}@judge/v1"
    words = ["plan", "tiny_rlpt", "-p", f"rlpt.judge_url={url}", "-p", "rlpt.judge_model=m"]
    code = guarded(lambda: app(words, standalone_mode=False))
    out, err = capsys.readouterr()
    assert code == 2
    assert "Traceback" not in err
    assert SECRET not in out + err
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and SECRET in path.read_text(errors="replace")
    ]


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("url", WITH_SECRET)
def test_every_error_of_ours_hides_it(name, url):
    told = str(BY_NAME[name](f"the store {url!r} could not be reached. Try again."))
    assert SECRET not in told
    assert "judge" in told
    assert told.endswith("could not be reached. Try again.")


def test_a_row_of_the_doctor_and_a_warning_of_mlflow_hide_it(caplog, monkeypatch):
    from infra.metrics import tracking

    monkeypatch.setattr(tracking, "_down_until", 0.0)
    check = Check("stack", "warn", f"{WITH_SECRET[0]} does not answer", f"see {WITH_SECRET[1]}")
    assert SECRET not in check.what + check.remedy

    def away() -> str:
        raise ConnectionError(f"{WITH_SECRET[0]} is away")

    with caplog.at_level(logging.WARNING):
        assert _guarded(away) == ""
    assert "is away" in caplog.text
    assert SECRET not in caplog.text


def test_a_download_with_a_login_is_refused():
    with pytest.raises(SourceError, match="carries a login") as found:
        parse_address(f"https://user:{SECRET}@host/file.txt")
    assert SECRET not in str(found.value)


class Guarded(Quiet):
    """A judge that wants a user and a password."""

    asked: list[str] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.headers.get("Authorization", ""))
        if self.headers.get("Authorization") != "Basic dXNlcjpodW50ZXIy":
            self.answer(401, b"who are you?")
            return
        body = {"choices": [{"message": {"content": "Score: 1"}, "finish_reason": "stop"}]}
        self.answer(200, json.dumps(body).encode(), Content_Type="application/json")


def test_the_judge_gets_its_password_from_the_environment(monkeypatch):
    from rpt_core.objectives.evidence import Pair

    monkeypatch.delenv("RPT_JUDGE_KEY", raising=False)
    with serving(Guarded) as url:
        judge = ServiceJudge(Service(f"{url}/v1", "m", deadline_seconds=10.0))
        pair = Pair(reference="4", predicted="4")
        with pytest.raises(RecipeError, match="401"):
            judge.ask([pair])
        monkeypatch.setenv(LOGIN_VARIABLE, f"user:{SECRET}")
        judge.ask([pair])
    assert Guarded.asked == ["", "Basic dXNlcjpodW50ZXIy"]


@given(
    st.sampled_from(["http", "https", "s3", "postgresql+psycopg2", "sqlite"]),
    st.text("abcXYZ019._-~!$&'()*+,;=%", min_size=1, max_size=12),
    st.text("abcXYZ019._-~!$&()*+,;=%@:", min_size=1, max_size=20),
)
def test_no_login_passes_whatever_its_letters(scheme, user, password):
    told = without_password(f"cannot reach {scheme}://{user}:{password}@host.example:80/path, try again")
    assert told == f"cannot reach {scheme}://***@host.example:80/path, try again"


@given(st.text("ab/:@ .?=&-1", max_size=40))
def test_hiding_twice_is_hiding_once(text):
    once = without_password(text)
    assert without_password(once) == once


@pytest.mark.parametrize(
    "text",
    ["math@17 in /data/a:b@c/store", "see http://127.0.0.1:4200/runs/x@3", "me@example.org", "a://b", ""],
)
def test_what_is_no_login_stays(text):
    assert without_password(text) == text
