"""What crosses a process border: messages, their codec, histograms and roll-ups.

Imports nothing above itself; used by workers, the supervisor and the dashboard alike.
"""
