"""A page as a browser lays it out: headless Chromium, asked by a script that is put at the page's end."""

import json
import re
import shutil
import subprocess
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium on this machine")

LAYOUT = """
  const shared = (a, b, from, to) => Math.min(a[to], b[to]) - Math.max(a[from], b[from]);
  const meet = (a, b) => shared(a, b, "left", "right") > 2 && shared(a, b, "top", "bottom") > 2;
  const overlapping = [];
  document.querySelectorAll("svg").forEach((svg) => {
    const labels = [...svg.querySelectorAll("text")];
    labels.forEach((one, i) => labels.slice(i + 1).forEach((other) => {
      if (meet(one.getBoundingClientRect(), other.getBoundingClientRect()))
        overlapping.push(`${one.textContent} | ${other.textContent}`);
    }));
  });
  const wide = [...document.querySelectorAll("main *")]
    .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
    .map((one) => one.textContent.slice(0, 40));
  const cut = [...document.querySelectorAll(".scroll")]
    .filter((one) => one.scrollWidth > one.clientWidth + 1)
    .map((one) => one.textContent.slice(0, 40));
  return { width: innerWidth, wide, cut, overlapping };
"""
"""What of a page is beyond its edge, behind a scroll bar, or written over something else."""


def ask(page: Path, script: str, *, width: int, folder: Path) -> Any:
    """What a script returns in a page, shown in a frame: a window is never narrower than 500 pixels.

    Args:
        page: HTML file.
        script: Body of a function; what it returns must be JSON.
        width: Of the frame, CSS pixels.
        folder: For the browser's own files.
    """
    probe = f"""<script>
      const answer = (() => {{ {script} }})();
      parent.document.documentElement.dataset.answer = JSON.stringify(answer);
    </script></body>"""
    inner = page.read_text().replace("</body>", probe)
    frame = f'<iframe srcdoc="{escape(inner)}" style="border:0; width:{width}px; height:1200px"></iframe>'
    probed = folder / f"probed-{width}.html"
    probed.write_text(f'<!doctype html><html lang="en"><body style="margin:0">{frame}</body></html>')
    assert BROWSER
    done = subprocess.run(
        [
            *(BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *(f"--user-data-dir={folder / 'browser'}", "--window-size=1400,1300", probed.as_uri()),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    found = re.search(r'<html[^>]* data-answer="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(unescape(found[1]))
