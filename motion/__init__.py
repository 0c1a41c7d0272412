"""Cleaning and placing of 3D motion."""
