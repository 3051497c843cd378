"""One page that says what was done and found; every number links to its artifact."""
