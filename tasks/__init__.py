"""Joining: one call into rpt_core, one service of infra."""
