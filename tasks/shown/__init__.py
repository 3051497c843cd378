"""What people see of stages and journeys: terminal, Prefect and MLflow."""
