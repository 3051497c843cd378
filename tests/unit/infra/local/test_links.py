"""The two lines of the local stack in ``.env``: added, believed only while they answer, taken out again."""

import logging

import pytest

from infra.local import links
from tests.local_server import Quiet, serving

STACK = {links.PREFECT: "http://127.0.0.1:4200/api", links.MLFLOW: "http://127.0.0.1:5000"}


@pytest.fixture
def env(tmp_path, monkeypatch):
    for name in STACK:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(links, "_noticed", set())
    yield tmp_path / ".env"
    for name in STACK:
        monkeypatch.setenv(name, "")  # undone by monkeypatch: what a test wrote into the environment goes


@pytest.fixture
def server():
    """Something that answers every GET with 200."""

    class Answer(Quiet):
        def do_GET(self):
            self.answer(200)

    with serving(Answer) as url:
        yield url


def test_lines_come_and_go_and_others_stay(env):
    env.write_text("# mine\nSECRET='a b'\nPREFECT_API_URL=http://old/api\n")
    links.add_lines(STACK, env)
    assert links.read_env(env) == {"SECRET": "a b", **STACK}
    links.remove_lines(STACK, env)
    assert env.read_text() == "# mine\nSECRET='a b'\n"


def test_a_file_of_ours_alone_goes_away_again(env):
    links.add_lines(STACK, env)
    links.add_lines(STACK, env)
    assert len(env.read_text().splitlines()) == 2
    links.remove_lines(STACK, env)
    links.remove_lines(STACK, env)
    assert not env.exists()


def test_lines_of_another_stack_are_left_alone(env):
    links.add_lines({links.PREFECT: "http://127.0.0.1:4999/api"}, env)
    links.remove_lines(STACK, env)
    assert links.read_env(env) == {links.PREFECT: "http://127.0.0.1:4999/api"}


def test_an_address_that_answers_is_used(env, server):
    links.add_lines({links.PREFECT: f"{server}/api"}, env)
    assert links.live_api_url(env) == f"{server}/api"


def test_a_dead_address_is_ignored_with_one_notice_and_hidden_from_prefect(env, caplog, monkeypatch):
    links.add_lines({links.PREFECT: "http://127.0.0.1:9/api"}, env)
    with caplog.at_level(logging.WARNING, "rpt.links"):
        assert links.live_api_url(env) == ""
        assert links.os.environ[links.PREFECT] == ""
        monkeypatch.delenv(links.PREFECT)
        assert links.live_api_url(env) == ""
    assert len(caplog.records) == 1
    assert "rpt up" in caplog.text


def test_the_environment_is_stronger_than_the_file(env, monkeypatch):
    links.add_lines(STACK, env)
    monkeypatch.setenv(links.PREFECT, "http://elsewhere/api")
    assert links.live_api_url(env) == "http://elsewhere/api"


def test_no_file_is_no_stack(env):
    assert links.live_api_url(env) == ""
    assert links.live_tracking_uri(env) == ""


def test_only_http_is_asked(tmp_path):
    (tmp_path / "health").write_text("ok")
    assert not links.answers((tmp_path / "health").as_uri())
