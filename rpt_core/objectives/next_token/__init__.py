"""Next-token reasoning: RPT, RMT and their controls."""
