"""The sample world, second edition: questions held out by their wording, and a teacher that errs."""
