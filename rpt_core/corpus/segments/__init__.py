"""Sentences and steps: where a segment of a document ends."""
