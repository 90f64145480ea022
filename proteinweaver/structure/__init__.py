"""Backbones, frames and geometry."""
