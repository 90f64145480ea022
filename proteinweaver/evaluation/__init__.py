"""Measures of backbones: geometry, similarity, assembly, baselines, and the tables that show them.

Functions of arrays; nothing here generates or trains. ``metrics.metrics_of`` gives all cheap
numbers of one design, ``table`` sums up sets of designs with intervals.
"""
