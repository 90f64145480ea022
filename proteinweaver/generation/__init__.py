"""From requests to designs."""
