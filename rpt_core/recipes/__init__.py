"""What is made, stage by stage: fields, defaults and bounds; no code of a stage."""
