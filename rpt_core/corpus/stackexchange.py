"""Stack Exchange dumps: ``Posts.xml`` of a site, in 7z or unpacked, as questions with their answers.

An answer may lie before its question or far behind it. So posts are sorted by question in a private temporary
file of SQLite's and come out thread by thread: memory holds one thread, time is linear but for that sort.
Posts are under CC BY-SA: a document's ``license`` names licence, address and author of each of its posts.
"""

import json
import re
import sqlite3
from bisect import bisect
from collections.abc import Iterator
from contextlib import closing
from itertools import chain, groupby
from operator import itemgetter

from rpt_core.corpus.batches import by_weight
from rpt_core.corpus.files.parts import How, Shard, SourcePart
from rpt_core.corpus.files.seven_zip import MAGIC, member_chunks
from rpt_core.corpus.files.sources import Head, Source
from rpt_core.corpus.files.streams import BrokenInput, bounded, file_chunks, open_chunks
from rpt_core.corpus.files.xml_rows import xml_rows
from rpt_core.corpus.origins import Origin
from rpt_core.corpus.rows import Document, Dropped, Row, preview
from rpt_core.corpus.text.html_text import html_text

STACKEXCHANGE = Origin("stackexchange", priority=25, licence="CC BY-SA")
THREAD_CHARS_MAX, BATCH_CHARS, UNPACKED_TIMES_MAX = 16 << 20, 4 << 20, 50
"""Of one question's answers, of one shard's threads; real dumps unpack to some ten times their size."""
_LICENSED_SINCE, _VERSIONS = ("2011-04-08", "2018-05-02"), ("2.5", "3.0", "4.0")
_HOST = re.compile(r"[a-z0-9-]++(?:\.[a-z0-9-]++){0,3}?\.(?:com|net|org)(?![a-z0-9])")
Post = dict[str, str]
Thread = tuple[Post, ...]
"""A question and its answers: the accepted one first, the others by votes."""


def is_posts(head: Head) -> bool:
    """Whether it is a 7z archive, or posts unpacked."""
    return head.data.startswith(MAGIC) or (b"<posts" in head.data[:1000] and b"<row " in head.data)


def read_posts(source: Source, how: How) -> Iterator[Row]:
    """Every question with its answers as a document, and what is left out as dropped rows."""
    for found in _threads(source):
        yield from _rows(source, found, how)


def post_shards(source: Source) -> Iterator[Shard]:
    """The threads in batches; they come once all posts were read."""
    num_bytes = source.num_bytes
    for batch in by_weight(_threads(source), lambda found: len(str(found)), BATCH_CHARS):
        yield Shard(source.name, num_bytes, SourcePart(source, tuple(batch), _rows))
        num_bytes = 0


def _threads(source: Source) -> Iterator[Thread | Dropped]:
    with closing(sqlite3.connect("")) as base:
        base.execute("pragma journal_mode = off")
        base.execute("create table post (thread int, is_answer int, score int, number int, post text)")
        for post in _posts(source):
            if isinstance(post, Dropped):
                yield post
            else:
                base.execute("insert into post values (?, ?, ?, ?, ?)", post)
        ordered = base.execute("select thread, post from post order by thread, is_answer, score desc, number")
        for _, posts in groupby(ordered, key=itemgetter(0)):
            yield from _thread(source, (json.loads(post) for _, post in posts))


def _posts(source: Source) -> Iterator[tuple[int, bool, int, int, str] | Dropped]:
    """Every question and answer with what it is sorted by; all else as dropped."""
    try:
        is_7z = next(file_chunks(source.path, 0, len(MAGIC)), b"") == MAGIC
        chunks = member_chunks(source.path, "posts.xml") if is_7z else open_chunks(source.path)
        for post in xml_rows(bounded(chunks, UNPACKED_TIMES_MAX * max(source.num_bytes, 1 << 15)), "posts"):
            kind = "" if isinstance(post, BrokenInput) else post.get("PostTypeId")
            names = ("ParentId" if kind == "2" else "Id", "Score", "Id")
            if isinstance(post, BrokenInput):
                yield _drop(source, post.reason, {}, post.detail)
            elif kind not in ("1", "2"):
                yield _drop(source, "other-post", post)
            elif not all(re.fullmatch(r"-?[0-9]{1,15}", post.get(name, "")) for name in names):
                yield _drop(source, "missing-column", post)
            else:
                thread, score, number = (int(post[name]) for name in names)
                yield thread, kind == "2", score, number, json.dumps(post)
    except BrokenInput as broken:
        yield _drop(source, broken.reason, {}, broken.detail)


def _thread(source: Source, posts: Iterator[Post]) -> Iterator[Thread | Dropped]:
    """The posts of one question as a thread, unless nothing answers it; those left out before it."""
    thread, held = [question := next(posts)], 0
    if question["PostTypeId"] == "2":
        yield from (_drop(source, "orphan-answer", post) for post in chain(thread, posts))
        return
    for post in posts:
        accepted = post["Id"] == question.get("AcceptedAnswerId")
        if post["PostTypeId"] == "1":
            yield _drop(source, "same-id", post)
        elif not accepted and int(post["Score"]) <= 0:
            yield _drop(source, "unpopular-answer", post)
        elif (held := held + len(post.get("Body", ""))) > THREAD_CHARS_MAX:
            yield _drop(source, "gigantic", post)
        else:
            thread.insert(1 if accepted else len(thread), post)
    yield tuple(thread) if len(thread) > 1 else _drop(source, "unanswered", question)


def _rows(source: Source, found: Thread | Dropped, how: How) -> Iterator[Row]:
    if isinstance(found, Dropped):
        yield found
        return
    question, *answers = found
    parts = [title := " ".join(question.get("Title", "").split()), html_text(question.get("Body", ""))]
    for answer in answers:
        accepted = answer["Id"] == question.get("AcceptedAnswerId")
        parts += ["Accepted answer" if accepted else "Answer", html_text(answer.get("Body", ""))]
    text = "\n\n".join(filter(None, parts))
    if len(text) > how.max_chars:
        yield _drop(source, "gigantic", question)
        return
    native_id = _address(source, question).removeprefix("https://")
    revision, tags = question.get("LastActivityDate", ""), re.findall(r"[^<>|]+", question.get("Tags", ""))
    credit = "; ".join(_credit(source, post) for post in found)
    yield Document(STACKEXCHANGE.name, native_id, revision, title, text, source.name, tuple(tags), credit)


def _address(source: Source, post: Post) -> str:
    """Of a post, or of its site, named by the dump or its folder; where they name none, by what they say."""
    *_, name = parts = source.name.lower().split("/")
    host = next((f"https://{found[0]}" for part in reversed(parts) if (found := _HOST.match(part))), "")
    site = host or name.partition("posts")[0].rstrip("-_.") or name
    return f"{site}/{'a' if post.get('PostTypeId') == '2' else 'q'}/{post['Id']}" if "Id" in post else site


def _credit(source: Source, post: Post) -> str:
    """Licence (as the post says, else by its date), address and author of a post."""
    licence, created = post.get("ContentLicense", ""), post.get("CreationDate", "")[:10]
    if not re.fullmatch(r"CC BY-SA [0-9]\.[0-9]", licence):
        version = _VERSIONS[bisect(_LICENSED_SINCE, created)] if created else ""
        licence = f"{STACKEXCHANGE.licence} {version}".rstrip()
    profile = f"{_address(source, {})}/users/{post['OwnerUserId']}" if "OwnerUserId" in post else ""
    author = " ".join(filter(None, (post.get("OwnerDisplayName"), profile))) or "an unnamed author"
    return f"{licence}, {_address(source, post)} by {author}"


def _drop(source: Source, reason: str, post: Post, detail: str = "") -> Dropped:
    address, shown = _address(source, post).removeprefix("https://"), preview(detail or post.get("Body", ""))
    return Dropped(STACKEXCHANGE.name, source.name, reason, address, post.get("Title", ""), shown)
