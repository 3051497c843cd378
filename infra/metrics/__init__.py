"""Metrics of artifacts, projected to MLflow."""
