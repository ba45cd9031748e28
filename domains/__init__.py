"""One adapter per field: each speaks that field's formats and gives explanations back in its terms."""
