"""The command line: one file per command that parses, composes and calls. No logic."""
