"""KOR-Bench: questions under a rule nobody has read before."""
