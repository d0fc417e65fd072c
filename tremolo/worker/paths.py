"""Paths of our own, that a worker in development answers itself."""

#: where they begin
PREFIX = b"/__tremolo__/"
