"""Data laws with the exact score, Jacobian, divergence and density at every noise level.

They are the oracles of the order tests and of the diagnostics: with an exact score the only error
left is the sampler's. On R^n a law is noised to (alpha, sigma), on SO(3) to tau = sigma^2, frames
to both. `samplers.targets.base` says what a target gives, `samplers.targets.reference` solves its
flow to about 1e-10, `samplers.targets.benchmark` has the problems that samplers are compared on,
`samplers.targets.learned` a small trained network.
"""

from samplers.targets.base import Target, noised, score_field
from samplers.targets.frames import FrameMixture, frame_field
from samplers.targets.gaussian import Gaussian, LowRankGaussian
from samplers.targets.learned import LearnedScore
from samplers.targets.mixture import GaussianMixture, atoms
from samplers.targets.rotation import IGSO3Mixture
from samplers.targets.student import Funnel, Student

__all__ = [
    "FrameMixture",
    "Funnel",
    "Gaussian",
    "GaussianMixture",
    "IGSO3Mixture",
    "LearnedScore",
    "LowRankGaussian",
    "Student",
    "Target",
    "atoms",
    "frame_field",
    "noised",
    "score_field",
]
