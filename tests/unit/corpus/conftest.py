"""What the tests of sentences share."""

import pytest

from rpt_core.corpus.segments.splitter import Splitter

TEACHING = [
    "Dr. Smith met Mr. Jones. They talked, e.g. about tea. The meeting ended at noon. Dr. Brown left."
] * 40


@pytest.fixture(scope="module")
def splitter():
    return Splitter.train({"en": TEACHING})
