"""People per frame to one 2D track per person."""
