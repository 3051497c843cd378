"""This machine: the state folder, the local Prefect and MLflow stack, `rpt doctor`."""
