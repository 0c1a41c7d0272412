"""Readers of the field's data sets, and the arithmetic that their papers share."""
