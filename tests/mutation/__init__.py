"""Mutation testing: small faults put in one at a time, each tried by the tests that run its line.

The faults are those of Cosmic Ray's operators. A whole run would take days, so a sample is drawn: its seed is
the digest of the code and the tests, and every package has its share (:mod:`tests.mutation.draw`).

    python -m tests.mutation --mutants 200          # what `make test-mutants` runs
    python -m tests.mutation --only rpt_core/train  # part of the tree, while writing tests
"""
