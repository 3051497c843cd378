"""Files of every known form, as rows: bytes, archives, tables, texts and problem sets."""
