"""Closed-form data laws with the exact score at every noise level.

They are the oracles of the order tests: with an exact score the only error left is the
sampler's. On R^n a law is noised to (alpha, sigma); on SO(3) to tau = sigma^2.
"""

from samplers.targets.gaussian import Gaussian, GaussianMixture
from samplers.targets.rotation import IGSO3Mixture

__all__ = ["Gaussian", "GaussianMixture", "IGSO3Mixture"]
