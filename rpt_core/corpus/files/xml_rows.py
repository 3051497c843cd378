"""Rows of an XML file that hold all they say in attributes, as Stack Exchange's dumps do; one in memory."""

from collections.abc import Iterator

from lxml import etree

from rpt_core.corpus.files.streams import BrokenInput, as_utf8, lines

ROW_BYTES_MAX = 4 << 20


def xml_rows(chunks: Iterator[bytes], root: str) -> Iterator[dict[str, str] | BrokenInput]:
    """The attributes of every ``row`` of a file; of one that cannot be read, why, in its place.

    No attribute holds ``<`` as it is, so the stream is cut there, and a parser sees one row at a time.

    Args:
        chunks: The file.
        root: Name of the element whose end is the file's.

    Raises:
        Broken: the stream breaks or ends early, or the file declares a document type or entities.

    Example:
        >>> list(xml_rows(iter([b'<posts><row Id="1" T="a &gt; b" /></pos', b'ts>']), "posts"))
        [{'Id': '1', 'T': 'a > b'}]
    """
    piece: bytes | BrokenInput = b""
    row: dict[str, str] | BrokenInput | None = None
    for piece in lines(as_utf8(chunks), ROW_BYTES_MAX, b"<"):
        if row is not None:
            yield row
        row = None
        if isinstance(piece, BrokenInput):
            row = piece
        elif piece.startswith((b"!DOCTYPE", b"!ENTITY")):
            raise BrokenInput("entity-declaration", piece[:200].decode("utf-8", "replace"))
        elif piece.startswith(b"row "):
            row = _attributes(b"<" + piece.rstrip())
    if isinstance(row, dict):
        yield row
    if not (isinstance(piece, bytes) and piece.startswith(f"/{root}>".encode())):
        raise BrokenInput(
            "truncated-xml", f"the file ends without </{root}>"
        )  # in a row, which counts as this


def _attributes(row: bytes) -> dict[str, str] | BrokenInput:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return {str(name): str(value) for name, value in etree.fromstring(row, parser).attrib.items()}
    except etree.XMLSyntaxError as error:
        return BrokenInput("broken-xml", f"{error}: {row[:200].decode('utf-8', 'replace')}")
