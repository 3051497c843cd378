"""A difficulty artifact in the folder of a small corpus: entropies as a test wants them, no proxy model."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rpt_core.objectives.windows import CODEC_KEY
from rpt_core.policy.codec import Codec


def write_difficulty(folder: Path, codec: Codec, entropy: float = 2.0, **fingerprint: str) -> Path:
    """Every token of the corpus equally hard."""
    documents = pq.read_table(folder / "documents.parquet").to_pylist()
    ids = [codec.encode(row["text"]) for row in documents]
    scores = [[None, *[entropy] * (len(row) - 1)] for row in ids]
    table = pa.table(
        {
            "doc_id": [row["doc_id"] for row in documents],
            "token_ids": pa.array(ids, pa.list_(pa.int32())),
            "entropy_nats": pa.array(scores, pa.list_(pa.float32())),
            "nll_nats": pa.array(scores, pa.list_(pa.float32())),
        }
    )
    metadata = {CODEC_KEY: fingerprint.get("fingerprint", codec.fingerprint())}
    pq.write_table(table.replace_schema_metadata(metadata), folder / "tokens.parquet", row_group_size=7)
    return folder


def write_uneven(folder: Path, codec: Codec) -> Path:
    """Entropies from 0 to 4 nats, by chance."""
    rng = np.random.default_rng(0)
    rows = []
    for row in pq.read_table(folder / "documents.parquet").to_pylist():
        ids = codec.encode(row["text"])
        nats = [None, *rng.uniform(0, 4, len(ids) - 1).tolist()]
        rows.append({"doc_id": row["doc_id"], "token_ids": ids, "entropy_nats": nats, "nll_nats": nats})
    schema = pa.schema(
        [("doc_id", pa.string()), ("token_ids", pa.list_(pa.int32()))]
        + [(name, pa.list_(pa.float32())) for name in ("entropy_nats", "nll_nats")],
        metadata={CODEC_KEY: codec.fingerprint()},
    )
    pq.write_table(pa.Table.from_pylist(rows, schema), folder / "tokens.parquet", row_group_size=7)
    return folder
