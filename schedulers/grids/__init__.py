"""The tables of a run: noise schedules, spacings and respacings, and the grids made of them, one family a file."""
