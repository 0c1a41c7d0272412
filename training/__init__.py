"""Data sets, recipes, metrics and evaluation."""
