"""Walks over manifests: everything once, depths and order as they stand."""

from rpt_core.artifacts.lineage import ancestors, foundations
from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.placement import Placement
from rpt_core.artifacts.recipe import Artifact

PARENTS = {
    "report": {"model": "model", "corpus": "corpus", "again": "model"},
    "model": {"text": "corpus", "base": "base"},
    "corpus": {"documents": "documents"},
    "base": {"text": "corpus"},
    "documents": {},
}
"""A report on a model and a corpus that the model and its base stand on as well."""


def manifest(name: str) -> Manifest:
    def address(of: str) -> Artifact:
        return Artifact(kind=of, fingerprint=f"f-{of}", digest=f"d-{of}")

    return Manifest(
        kind=name, fingerprint=f"f-{name}", digest=f"d-{name}", recipe={}, placement=Placement(),
        parents={place: address(of) for place, of in PARENTS[name].items()}, files=(), outcome={}, code="c",
        environment={}, created="now", attempts=(),
    )  # fmt: skip


def test_ancestors_are_told_depth_first_with_the_name_they_were_first_met_by():
    loaded = []

    def load(artifact: Artifact) -> Manifest:
        loaded.append(artifact.kind)
        return manifest(artifact.kind)

    found = [(depth, name, each.kind) for depth, name, each in ancestors(manifest("report"), load)]
    assert found == [
        (1, "model", "model"), (2, "text", "corpus"), (3, "documents", "documents"), (2, "base", "base"),
    ]  # fmt: skip
    assert loaded == ["model", "corpus", "documents", "base"]


def test_foundations_come_before_what_stands_on_them():
    found = [each.kind for each in foundations(manifest("report"), lambda one: manifest(one.kind))]
    assert found == ["documents", "corpus", "base", "model", "report"]


def test_what_stands_on_nothing_is_its_own_foundation():
    alone = manifest("documents")
    assert list(ancestors(alone, lambda one: manifest(one.kind))) == []
    assert list(foundations(alone, lambda one: manifest(one.kind))) == [alone]
