"""`make test-wheel` runs this in an environment that holds the wheel alone: what a user of pip gets."""

import importlib.resources
from importlib.metadata import version

import numpy as np

import emlib

assert "site-packages" in emlib.__file__, f"the wheel is not what was imported: {emlib.__file__}"
package = importlib.resources.files("emlib")
assert (package / "py.typed").is_file(), "the wheel lacks py.typed"
assert (package / "grading" / "templates" / "feedback.html").is_file(), "the wheel lacks the pages of the grader"

x = np.concatenate([np.linspace(-1, 1, 40), np.linspace(9, 11, 60)])[:, None]
weights = np.sort(emlib.GaussianMixture(2, random_state=0).fit(x).weights_)
assert np.allclose(weights, [0.4, 0.6], atol=1e-3), weights

from emlib.course import check, find  # noqa: E402 - after the library itself

assert check("mixtures.log_sum_exp", find("mixtures.log_sum_exp").reference).passed
print(f"emlib {version('emlib')} from the wheel: fitted, weights {weights.round(4)}")
