"""Advantages, losses, one pure step, one short loop, checkpoints."""
