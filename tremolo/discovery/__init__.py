"""Finds the application of a project by reading it, before anything of it is imported."""
