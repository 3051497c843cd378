"""Outcomes of a study as data: what each arm did under each seed, in small files without weights."""
