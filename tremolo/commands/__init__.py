"""What stands behind the words of the command line: one module a kind of command."""
