"""What every page is drawn with: colours and type, words for numbers, the frame."""
