"""arXiv over the network: e-prints by number with their licences (OAI-PMH), and bulk files by month.

What was read is on disk after every reply, so the same call resumes there.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from infra.network.download import download
from infra.network.polite import PoliteServer
from rpt_core.corpus.arxiv.metadata import Paper, parse_manifest, parse_oai
from rpt_core.corpus.files.streams import BrokenInput
from rpt_core.errors import SourceError

API = "https://export.arxiv.org"
"""The server arXiv keeps for programmes."""
BULK = "s3://arxiv"
"""The bucket of the bulk files; who reads it pays for the transfer."""
METADATA_NAME = "metadata.jsonl"
_NUMBER = re.compile(r"(\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v\d+)?")


def licensed(server: PoliteServer, number: str) -> Paper | None:
    """One paper with its licence, by OAI-PMH; None where the archive does not know the number.

    Raises:
        SourceError: the server cannot be reached, or answers with no record at all.
    """
    identifier = f"oai:arXiv.org:{number}"
    try:
        reply = server.get("/oai2", verb="GetRecord", identifier=identifier, metadataPrefix="arXiv")
        return next(iter(parse_oai(reply).papers), None)
    except BrokenInput as broken:
        if broken.detail.startswith("idDoesNotExist"):
            return None
        raise SourceError(f"{server.url} answered {broken.detail!r} when asked for {number}.") from None


def fetch_papers(server: PoliteServer, numbers: Sequence[str], folder: Path) -> Path:
    """The e-prints of these numbers and a file that describes them, in one folder.

    Raises:
        SourceError: something is no number of a paper, or the server does not have it.
    """
    for number in numbers:
        if not _NUMBER.fullmatch(number):
            raise SourceError(
                f"{number!r} is no number of arXiv; write 2102.00007, 2102.00007v2 or hep-th/9901001."
            )
    folder.mkdir(parents=True, exist_ok=True)
    listed = folder / METADATA_NAME
    held = listed.read_text().splitlines() if listed.exists() else []
    known = {json.loads(line)["id"] for line in held}
    for number in dict.fromkeys(numbers):
        bare = number.partition("v")[0] if re.search(r"v\d+$", number) else number
        if bare not in known:
            paper = licensed(server, bare) or Paper(bare)
            with listed.open("a") as stream:
                stream.write(paper.as_json() + "\n")
            known.add(bare)
        if not (folder / number.replace("/", "_")).exists():
            server.wait()
        download(f"{server.url}/e-print/{number}", folder, name=number.replace("/", "_"))
    return folder


def bulk_addresses(manifest: bytes, first: str, last: str) -> list[str]:
    """Addresses, with checksums, of the bulk files from one month to another (``yymm``, both included).

    Raises:
        SourceError: it is no manifest, or lists nothing of these months.
    """
    try:
        chunks = parse_manifest(manifest)
    except BrokenInput as broken:
        raise SourceError(f"this is no manifest of arXiv's bulk files: {broken.detail}") from None
    wanted = [chunk for chunk in chunks if _century(first) <= _century(chunk.month) <= _century(last)]
    if not wanted:
        raise SourceError(f"the manifest lists no file from {first} to {last}; months are written yymm.")
    return [f"{BULK}/{chunk.filename}#md5={chunk.md5}" for chunk in wanted]


def _century(month: str) -> int:
    """Months in order of time: arXiv began in 1991."""
    number = int(month) if month.isdecimal() else -1
    return number + (2000_00 if number < 9100 else 1900_00)
