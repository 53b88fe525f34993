"""A scheduler run on symbols: its exact coefficients, read as a whole run or one evaluation after another."""
