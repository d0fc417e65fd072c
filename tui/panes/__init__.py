"""The panes of the dashboard, one a file. A pane draws lines of the model and acts on it."""
