"""What a thing came from: walks over manifests."""

from collections.abc import Callable, Iterator

from rpt_core.artifacts.manifest import Manifest
from rpt_core.artifacts.recipe import Artifact


def ancestors(
    manifest: Manifest, load: Callable[[Artifact], Manifest]
) -> Iterator[tuple[int, str, Manifest]]:
    """Every artifact a thing stands on, depth first: (depth, input name, manifest), each artifact once.

    Args:
        manifest: Where to begin; not yielded itself.
        load: Gives the manifest of an address.
    """
    seen: set[str] = set()

    def walk(node: Manifest, depth: int) -> Iterator[tuple[int, str, Manifest]]:
        for name, parent in node.parents.items():
            if parent.fingerprint not in seen:
                seen.add(parent.fingerprint)
                found = load(parent)
                yield depth, name, found
                yield from walk(found, depth + 1)

    yield from walk(manifest, 1)


def foundations(manifest: Manifest, load: Callable[[Artifact], Manifest]) -> Iterator[Manifest]:
    """A thing and all it stands on, each once, nothing before what it stands on itself.

    Args:
        manifest: What is yielded last.
        load: Gives the manifest of an address.
    """
    seen: set[str] = set()

    def walk(node: Manifest) -> Iterator[Manifest]:
        for parent in node.parents.values():
            if parent.fingerprint not in seen:
                seen.add(parent.fingerprint)
                yield from walk(load(parent))
        yield node

    yield from walk(manifest)
