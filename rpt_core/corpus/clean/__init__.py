"""What a document must be and what it must not hold: quality, language, licence, personal data."""
