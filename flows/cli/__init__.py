"""The command line `rpt`."""
