"""Fragments of HTML, such as posts, as text."""

import re

from lxml import etree

from rpt_core.corpus.text.scripts import with_scripts

_BLANKS = re.compile(r"\s+")
_BLOCKS = frozenset(
    {
        "p", "div", "ul", "ol", "li", "dl", "dt", "dd", "blockquote", "pre", "hr", "table", "tr",
        "h1", "h2", "h3", "h4", "h5", "h6",
    }
)  # fmt: skip
"""Elements that begin and end a paragraph."""
_SCRIPT_CHARS_MAX = 60


def html_text(html: str) -> str:
    r"""Paragraphs of a fragment. Code stands in backticks, formulas stay as they are, pictures go.

    Any input ends in linear time: libxml2 reads what is no HTML as well as it can, 256 elements deep.

    Example:
        >>> html_text("<p>Is <code>a&lt;b</code> $x\\le 1$?</p><li>2<sup>10</sup></li><pre>x =  1\n</pre>")
        'Is `a<b` $x\\le 1$?\n\n- 2^10\n\n```\nx =  1\n```'
    """
    parser = etree.HTMLParser(remove_comments=True, remove_pis=True)
    walk = etree.iterwalk(etree.fromstring(f"<div>{html}</div>", parser), events=("start", "end"))
    blocks: list[str] = []
    line, lead = [""], ""
    for event, node in walk:
        tag = str(node.tag)
        if tag in _BLOCKS:
            if text := "\n".join(part.strip() for part in "".join(line).split("\n")).strip():
                blocks.append(lead + text)
            if text or tag == "li":
                lead = "- " if tag == "li" and event == "start" else ""
            line = [""]
        if event == "end":
            line.append(_BLANKS.sub(" ", node.tail or ""))
        elif tag == "pre":
            blocks.append("```\n{}\n```".format("".join(node.itertext()).strip("\n")))
            walk.skip_subtree()
        elif tag in ("code", "sup", "sub", "script", "style"):
            line.append(_inline(tag, "".join(node.itertext()), line[-1][-12:]))
            walk.skip_subtree()
        else:
            line += [{"br": "\n", "td": " ", "th": " "}.get(tag, ""), _BLANKS.sub(" ", node.text or "")]
    return "\n\n".join(blocks)


def _inline(tag: str, inside: str, before: str) -> str:
    """What stands in a line for an element that is taken whole, after the characters ``before``."""
    if tag == "code":
        return f"`{inside}`"
    if tag not in ("sup", "sub") or not 0 < len(inside) <= _SCRIPT_CHARS_MAX or "<" in inside + before:
        return inside if tag in ("sup", "sub") else ""
    return with_scripts(f"{before}<{tag}>{inside}</{tag}>")[len(before) :]
