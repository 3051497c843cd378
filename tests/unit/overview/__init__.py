"""Tests of the pages over what runs and what was made."""
