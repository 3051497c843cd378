"""Services: object store, tracking, launching, the local stack."""
