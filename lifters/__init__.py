"""2D track to 3D motion."""
