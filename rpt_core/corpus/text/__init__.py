"""What every wing may do with a text: words, protected spans, pieces held aside, Chinese in one form."""
