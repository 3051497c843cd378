"""What ``infra/`` holds for clusters, run on this machine where it can be, and validated elsewhere."""
