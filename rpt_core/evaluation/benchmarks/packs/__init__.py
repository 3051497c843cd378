"""Benchmark packs: what each benchmark is, how it is asked and graded; one small file each."""
