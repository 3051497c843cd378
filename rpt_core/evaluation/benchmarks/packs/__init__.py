"""Benchmark packs: what each published benchmark is, how it is asked and how it is graded; one small file each."""
