"""Engines that draw answers."""
