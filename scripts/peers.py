"""Samplers of other libraries behind one call, for `bench_mixture.py` and `peer_defects.py`.

A peer gets an exact model, start noises and a number of model calls or steps, and gives the end
point in variance-preserving coordinates, the calls it made and the two noise levels
rho = sigma/alpha it ran between. Libraries: the optional extra ``peers``
(``pip install 'proteinweaver[peers]'``). Every library runs with its own defaults, but for:

- diffusers: trailing spacing, ``final_sigmas_type="sigma_min"``, ``set_alpha_to_one=False``, so
  that no sampler ends with an Euler step to zero noise where it has a choice. ``@sigma`` means
  that the model is called at the scheduler's sigma instead of at its rounded timestep;
- azula: a noise schedule uniform in log rho between the ends;
- k-diffusion: noise levels uniform in log rho. Only its module ``sampling`` is loaded: the package
  itself imports training libraries.
"""

import importlib.metadata
import importlib.util
import inspect
import math
import sys
import types
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

__all__ = ["PEERS", "Model", "Outcome", "Peer", "installed"]

TABLE = {"linear": (157.4, 0.01), "cosine": (2.0e4, 0.0064)}


class Model:
    """An exact model that counts its calls: eps and clean estimate at (x, rho).

    Parameters
    ----------
    clean : callable (x, alpha, sigma) -> Tensor
        E[x_0 | x_t = x] with alpha^2 + sigma^2 = 1.
    """

    def __init__(self, clean):
        self._clean = clean
        self.calls = 0

    def clean(self, x, rho):
        """Estimate the clean point."""
        self.calls += 1
        root = math.hypot(1.0, rho)
        return self._clean(x.double(), 1 / root, rho / root)

    def eps(self, x, rho):
        """Estimate the noise."""
        root = math.hypot(1.0, rho)
        return (x.double() - self.clean(x, rho) / root) * root / rho


@dataclass(frozen=True)
class Outcome:
    """End of a run: points in variance-preserving coordinates and what it took."""

    x: torch.Tensor
    calls: int
    rho_start: float
    rho_end: float


@dataclass(frozen=True)
class Peer:
    """A sampler: ``run(model, z, steps, law)`` with law "linear" or "cosine"."""

    package: str
    run: Callable[[Model, torch.Tensor, int, str], Outcome]
    calls_per_step: int = 1


def installed(package):
    """Version of an installed peer, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _diffusers(name, at_sigma=False, **options):
    def run(model, z, steps, law):
        import diffusers

        make = getattr(diffusers, f"{name}Scheduler")
        settings = {
            "beta_schedule": {"linear": "linear", "cosine": "squaredcos_cap_v2"}[law],
            "num_train_timesteps": 1000,
            **options,
        }
        known = inspect.signature(make.__init__).parameters
        wanted = {
            "beta_start": 1e-4,
            "beta_end": 0.02,
            "timestep_spacing": "trailing",
            "final_sigmas_type": "sigma_min",
            "set_alpha_to_one": False,
            "clip_sample": False,
        }
        settings |= {k: v for k, v in wanted.items() if k in known and k not in options}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler = make(**settings)
            scheduler.set_timesteps(steps)
        cumprod = scheduler.alphas_cumprod.double().numpy()
        levels = np.log((1 - cumprod) / cumprod) / 2  # log rho of the table
        # Some schedulers keep x/alpha scaled ("sigma space"), the others x itself.
        scaled = name in {"EulerDiscrete", "HeunDiscrete", "LMSDiscrete", "KDPM2Discrete"}
        first = float(scheduler.timesteps[0])
        start = math.exp(np.interp(first, np.arange(1000), levels))
        if scaled:
            start = float(scheduler.sigmas[0])
        x = z * math.hypot(1.0, start) if scaled else z.clone()
        for k, t in enumerate(scheduler.timesteps):
            # before the first step the index is not set; afterwards it points at this step
            index = getattr(scheduler, "step_index", None)
            rho = math.exp(np.interp(float(t), np.arange(1000), levels))
            if at_sigma:
                rho = float(scheduler.sigmas[k if index is None else index])
            shown = scheduler.scale_model_input(x, t)
            x = scheduler.step(model.eps(shown, rho), t, x).prev_sample.double()
        if name in {"DDIM", "PNDM"}:
            end = math.exp(levels[0])
        else:
            end = float(scheduler.sigmas[-1])
        if scaled:
            x = x / math.hypot(1.0, end)
        return Outcome(x, model.calls, start, end)

    return run


def _azula(name, **options):
    def run(model, z, steps, law):
        import azula.sample
        from azula.denoise import Denoiser, DiracPosterior
        from azula.noise import Schedule

        high, low = TABLE[law]

        class LogSchedule(Schedule):
            """Variance preserving, log rho linear in t."""

            def alpha(self, t):
                return (1 + self._rho(t) ** 2) ** -0.5

            def sigma(self, t):
                return self._rho(t) * self.alpha(t)

            def _rho(self, t):
                return torch.exp(math.log(low) + t * math.log(high / low))

            def __call__(self, t):
                return self.alpha(t), self.sigma(t)

        class Exact(Denoiser):
            def __init__(self):
                super().__init__()
                self.schedule = LogSchedule()

            def forward(self, x_t, t, **kwargs):
                alpha, sigma = self.schedule(t)
                return DiracPosterior(mean=model.clean(x_t, float(sigma / alpha)))

        sampler = getattr(azula.sample, f"{name}Sampler")(
            Exact(), steps=steps, silent=True, dtype=torch.float64, **options
        )
        return Outcome(sampler(z.clone()).double(), model.calls, high, low)

    return run


@cache
def _k_sampling():
    """Load the module ``k_diffusion.sampling`` alone."""
    spec = importlib.util.find_spec("k_diffusion")
    parent = types.ModuleType("k_diffusion")
    parent.__path__ = list(spec.submodule_search_locations)
    tensors = types.ModuleType("k_diffusion.utils")
    tensors.append_dims = lambda x, n: x[(...,) + (None,) * (n - x.ndim)]
    parent.utils = tensors
    sys.modules.update({"k_diffusion": parent, "k_diffusion.utils": tensors})
    return importlib.import_module("k_diffusion.sampling")


def _k_diffusion(name):
    def run(model, z, steps, law):
        high, low = TABLE[law]

        def denoise(x, sigma, **kwargs):
            rho = float(sigma.flatten()[0])
            return model.clean(x / math.hypot(1.0, rho), rho)

        x = z * math.hypot(1.0, high)
        sampling = _k_sampling()
        if name == "dpm_adaptive":
            tight = {"rtol": 0.05 * 0.1**steps, "atol": 0.0078 * 0.1**steps}
            x = sampling.sample_dpm_adaptive(denoise, x, low, high, disable=True, **tight)
        else:
            levels = torch.linspace(math.log(high), math.log(low), steps + 1).double().exp()
            x = getattr(sampling, f"sample_{name}")(denoise, x, levels, disable=True)
        return Outcome(x / math.hypot(1.0, low), model.calls, high, low)

    return run


_DPM = "DPMSolverMultistep"
PEERS = {
    "diffusers DDIM": Peer("diffusers", _diffusers("DDIM")),
    "diffusers DPM++ 2M": Peer("diffusers", _diffusers(_DPM)),
    "diffusers DPM++ 2M euler_at_final": Peer("diffusers", _diffusers(_DPM, euler_at_final=True)),
    "diffusers DPM++ 2M karras": Peer("diffusers", _diffusers(_DPM, use_karras_sigmas=True)),
    "diffusers DPM++ 2M lu": Peer("diffusers", _diffusers(_DPM, use_lu_lambdas=True)),
    "diffusers DPM++ 3M": Peer("diffusers", _diffusers(_DPM, solver_order=3)),
    "diffusers DPM++ 3M lu euler_at_final @sigma": Peer(
        "diffusers",
        _diffusers(_DPM, True, solver_order=3, use_lu_lambdas=True, euler_at_final=True),
    ),
    "diffusers DPM++ 3M lu": Peer(
        "diffusers", _diffusers(_DPM, solver_order=3, use_lu_lambdas=True)
    ),
    "diffusers DPM++ 3S": Peer("diffusers", _diffusers("DPMSolverSinglestep", solver_order=3)),
    "diffusers UniPC 2": Peer("diffusers", _diffusers("UniPCMultistep")),
    "diffusers UniPC 3": Peer("diffusers", _diffusers("UniPCMultistep", solver_order=3)),
    "diffusers UniPC 3 exponential": Peer(
        "diffusers", _diffusers("UniPCMultistep", solver_order=3, use_exponential_sigmas=True)
    ),
    "diffusers UniPC 3 exponential @sigma": Peer(
        "diffusers",
        _diffusers("UniPCMultistep", True, solver_order=3, use_exponential_sigmas=True),
    ),
    "diffusers DEIS 2": Peer("diffusers", _diffusers("DEISMultistep")),
    "diffusers DEIS 3": Peer("diffusers", _diffusers("DEISMultistep", solver_order=3)),
    "diffusers Heun": Peer("diffusers", _diffusers("HeunDiscrete"), 2),
    "diffusers Euler": Peer("diffusers", _diffusers("EulerDiscrete")),
    "diffusers LMS 4": Peer("diffusers", _diffusers("LMSDiscrete")),
    "diffusers PNDM": Peer("diffusers", _diffusers("PNDM", skip_prk_steps=True)),
    "azula DDIM": Peer("azula", _azula("DDIM")),
    "azula vAB 3": Peer("azula", _azula("vAB", order=3)),
    "azula zEAB 3": Peer("azula", _azula("zEAB", order=3)),
    "azula xEAB 3": Peer("azula", _azula("xEAB", order=3)),
    "azula REAB 2": Peer("azula", _azula("REAB", order=2)),
    "azula REAB 3": Peer("azula", _azula("REAB", order=3)),
    "k-diffusion dpmpp_2m": Peer("k-diffusion", _k_diffusion("dpmpp_2m")),
    "k-diffusion lms 4": Peer("k-diffusion", _k_diffusion("lms")),
    "k-diffusion heun": Peer("k-diffusion", _k_diffusion("heun"), 2),
    "k-diffusion dpm_adaptive": Peer("k-diffusion", _k_diffusion("dpm_adaptive")),
}
