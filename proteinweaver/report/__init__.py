"""The page of an evaluation: one HTML file that needs neither network nor server."""
