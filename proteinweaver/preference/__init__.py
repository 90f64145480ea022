"""Rewards, comparisons and objectives that align a model with preferences among its samples."""
