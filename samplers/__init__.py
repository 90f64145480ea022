"""Numerical solution of reverse diffusions on R^n, SO(3) and their products.

A *law* (`samplers.schedules`) says how data are noised, x_t = alpha(t) x_0 + sigma(t) eps or, on
SO(3), R_t ~ IGSO3(R_0, sigma(t)); a *field* (state, t) -> predictions is what a network or a
closed form (`samplers.targets`) knows; a *stepper* (`samplers.steppers`) turns predictions into a
step; `samplers.integrate.integrate` is the one loop. Time runs from t = 1 (noise) to t = 0 (data).
`samplers.adaptive` chooses its own steps, `samplers.invert` runs upwards, `samplers.likelihood`
gives log densities, `samplers.discrete` serves models trained on integer steps.

Needs torch, numpy and scipy only, and knows nothing of proteins.
"""
