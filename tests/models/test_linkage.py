"""The linkage example: published numbers of chapter 3."""

from __future__ import annotations

import numpy as np
import pytest

from emlib.data import linkage
from emlib.engine import em
from emlib.engine import information as info
from emlib.engine.families import BetaPrior
from emlib.models.linkage import Linkage, LinkageParams

ROOT = 0.6268214979  # of 197 t^2 - 15 t - 68 = 0


@pytest.fixture(scope="module")
def fit():
    return em.fit(Linkage(), linkage(), LinkageParams(0.5), tol=0.0)


def test_the_root(fit):
    assert fit.converged
    assert fit.params.theta == pytest.approx(ROOT, abs=1e-9)
    assert fit.params.theta == pytest.approx(np.roots([197, -15, -68]).max(), abs=1e-9)


def test_iterations_of_dempster_laird_and_rubin():
    path = []
    em.fit(
        Linkage(), linkage(), LinkageParams(0.5), max_iter=4, tol=0.0, callback=lambda s: path.append(s.params.theta)
    )
    np.testing.assert_allclose(path, [0.5, 0.608247423, 0.624321051, 0.626488879, 0.626777323], atol=5e-10)


def test_rate_and_errors(fit):
    known = info.observed_information(Linkage(), linkage(), fit.params)
    check_errors(known)
    # The naive 0.0479 takes the E-step's counts as if they had been seen: complete-data information at the root,
    # (x2 + x5) / t^2 + (x3 + x4) / (1 - t)^2, instead of the observed one.
    t, cells = fit.params.theta, Linkage().e_step(linkage(), fit.params)[0].cells
    naive = ((cells[1] + cells[4]) / t**2 + (cells[2] + cells[3]) / (1 - t) ** 2) ** -0.5
    assert naive == pytest.approx(0.0479, abs=5e-5)
    assert known.complete[0, 0] ** -0.5 * t * (1 - t) == pytest.approx(naive, rel=1e-6)
    # the observed information in t itself, differentiated by hand
    y = linkage()
    curvature = y[0] / (2 + t) ** 2 + (y[1] + y[2]) / (1 - t) ** 2 + y[3] / t**2
    assert known.standard_errors.theta == pytest.approx(curvature**-0.5, rel=1e-7)


def check_errors(known):
    assert known.standard_errors.theta == pytest.approx(0.0515, abs=5e-5)
    assert known.missing[0] == pytest.approx(0.1328, abs=5e-5)


def test_without_the_delta_method_the_error_is_wrong(fit):
    class Forgetful(info.Information):
        @property
        def parameter_covariance(self):
            return self.covariance

    right = info.observed_information(Linkage(), linkage(), fit.params)
    wrong = Forgetful(right.params, right.coordinates, right.score, right.observed, right.complete)
    with pytest.raises(AssertionError):
        check_errors(wrong)


def test_em_moves_at_the_rate_that_is_missing():
    path = []
    em.fit(
        Linkage(), linkage(), LinkageParams(0.1), max_iter=9, tol=0.0, callback=lambda s: path.append(s.params.theta)
    )
    away = np.array(path) - ROOT
    seen = away[8] / away[7]
    assert info.missing_information(Linkage(), linkage(), LinkageParams(ROOT)) == pytest.approx(seen, abs=2e-3)


def test_crosses_add_up_and_a_prior_is_two_more_counts():
    parts = np.array([[100, 10, 12, 20], [25, 8, 8, 14]])
    assert em.fit(Linkage(), parts, LinkageParams(0.5), tol=0.0).params.theta == pytest.approx(ROOT, abs=1e-9)
    prior = BetaPrior(2.0, 3.0)
    posterior = em.fit(Linkage(), linkage(), LinkageParams(0.5), prior=prior, tol=0.0).params.theta
    slope = 125 / (2 + posterior) + 35 / posterior - 40 / (1 - posterior)
    assert slope == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("theta", [0.0, 1.0])
def test_certain_theta_is_allowed_where_it_is_possible(theta):
    counts = np.array([50, 20, 30, 0]) if theta == 0 else np.array([75, 0, 0, 25])
    assert np.isfinite(Linkage().e_step(counts, LinkageParams(theta))[1])
    fit = em.fit(Linkage(), counts, LinkageParams(0.3), tol=1e-12)
    assert fit.params.theta == pytest.approx(theta, abs=1e-4)


def test_bad_counts_are_refused():
    with pytest.raises(ValueError, match=r"four counts \(4,\)"):
        Linkage().e_step(np.array([1, 2, 3]), LinkageParams(0.5))
    assert em.fit(Linkage(), linkage(), LinkageParams(1.5)).reason == "degenerate"
    assert "no offspring" in em.fit(Linkage(), np.zeros(4), LinkageParams(0.5)).message
