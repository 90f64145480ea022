"""What is wrong with a sampler, by how much, and why: errors, their orders, causes and bounds.

A sampler enters as a map ``advance(x, times)`` (`maps.sampler_map` makes one); one idea a module:

    strong          median, RMS, share in another basin, same-basin RMS
    transport       W2: Gaussian, on the line, by assignment, sliced
    variation       TV: Gaussian, on grids, by projections, by a classifier
    kernel          MMD and energy distance
    bootstrap       intervals of any of these
    pushforward     the sampler's own density: KL and TV along the run
    order           order of convergence with interval, or "no asymptotic range"
    doubling        error estimates at run time and their calibration
    budget          early stopping, initialisation, score, discretisation
    injection       score error with its L2 and divergence sizes set apart
    certificate     upper bound of TV from the lemma (interpolation: a step as an ODE)
    margin          how far a step is from folding space
    bridging        samples between the modes against churn
    gaussian_law    exact law of a sampler on Gaussians
    dimension       steps needed against the dimension
"""
