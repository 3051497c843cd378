"""Pages over what runs and what was made: a training as it goes on, and everything a store holds."""
