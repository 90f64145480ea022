"""Domains before assembly: blueprints, plans, contigs, libraries and spliced maps."""
