"""The diffusion on frames: process, losses, field."""
