"""Submodules without their packages, packages hidden, and what a data stage's processes do not import."""

import subprocess
import sys

import pytest

from rpt_core.deferred import defer, without

PACKAGE = {
    "__init__.py": "import marks\nmarks.append('package')\nvalue = 3\nfrom odd_package.part import number\n",
    "part.py": "import marks\nfrom odd_package import other\nmarks.append('part')\nnumber = other.number\n",
    "other.py": "import marks\nmarks.append('other')\nnumber = 7\n",
}


@pytest.fixture
def marks(tmp_path, monkeypatch):
    """A package whose modules write down that they were run."""
    (tmp_path / "odd_package").mkdir()
    for name, text in PACKAGE.items():
        (tmp_path / "odd_package" / name).write_text(text)
    found: list[str] = []
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "marks", found)
    yield found
    for name in [name for name in sys.modules if name.startswith("odd_package")]:
        del sys.modules[name]


def test_a_submodule_is_imported_without_its_package(marks):
    defer("odd_package")
    from odd_package.part import number

    assert number == 7
    assert marks == ["other", "part"]


def test_what_only_the_package_has_is_there_when_it_is_asked_for(marks):
    defer("odd_package")
    import odd_package

    assert marks == []
    assert odd_package.value == 3
    assert odd_package.number == 7
    assert marks == ["package", "other", "part"]
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        odd_package.nothing  # noqa: B018


def test_a_package_that_is_there_stays_as_it_is(marks):
    import odd_package

    defer("odd_package")
    assert sys.modules["odd_package"] is odd_package
    assert odd_package.value == 3
    assert marks.count("package") == 1


def test_a_package_that_is_nowhere_is_named():
    with pytest.raises(ModuleNotFoundError, match="'no_such_package'"):
        defer("no_such_package")


def test_a_package_is_hidden_for_the_time_of_an_import(marks):
    with without("odd_package", "marks"):
        with pytest.raises(ModuleNotFoundError, match="odd_package"):
            import odd_package
        import marks as there  # it was loaded before, and stays
    assert there is marks
    import odd_package

    assert odd_package.value == 3


def test_flows_read_no_text_and_data_stages_import_no_statistics():
    """What nltk and datasketch bring with their packages was two thirds of a data process's start."""
    look = "import sys, tasks.build; print(*sys.modules); import rpt_core.corpus.prepare; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    flows, stage = (set(line.split()) for line in done.stdout.splitlines())
    assert not {"nltk", "datasketch", "scipy", "torch", "mlflow"} & flows
    assert {"nltk.tokenize.punkt", "datasketch.minhash"} <= stage
    assert not {"sklearn", "pandas", "torch", "mlflow", "nltk.chunk", "datasketch.lsh"} & stage
