"""Photons whose origin is hidden: what multiplicative EM promises, and what it is beside others."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import convolve, correlate
from scipy.optimize import minimize
from scipy.sparse import csc_array
from sklearn.base import clone

from emlib import MLEM
from emlib.engine.families import GammaPrior
from emlib.models.tomography import blur, parallel_beam, shepp_logan


@pytest.fixture(scope="module")
def scan():
    """A head of 32 x 32 pixels and its counts."""
    A, head = parallel_beam(32, 40), shepp_logan(32)
    head = head * 50_000 / head.sum()
    return A, head, np.random.default_rng(1).poisson(A @ head.ravel())


def test_counts_are_kept_and_the_likelihood_climbs(scan):
    A, _, counts = scan
    totals = []
    fit = MLEM(A, shape=(32, 32), max_iter=25).fit(
        counts, callback=lambda step: totals.append((A @ step.params.image).sum())
    )
    assert fit.n_iter_ == 25
    assert (np.diff(fit.trace_) > 0).all()
    np.testing.assert_allclose(totals, counts.sum(), rtol=1e-12)
    assert fit.fitted_.sum() == pytest.approx(counts.sum(), rel=1e-12)
    assert fit.image_.min() >= 0


def test_totals_are_kept_where_detectors_miss_photons():
    """Weighted by what is seen of each pixel."""
    rng = np.random.default_rng(0)
    A = rng.random((30, 8)) / 30
    fit = MLEM(A, max_iter=7).fit(rng.poisson(50, size=30))
    assert A.sum(axis=0) @ fit.image_ == pytest.approx(fit.fitted_.sum())
    assert fit.n_iter_ == 7
    counts = rng.poisson(50, size=30)
    assert MLEM(A, max_iter=7).fit(counts).fitted_.sum() == pytest.approx(counts.sum())


def test_the_update_by_hand():
    """Two pixels, three detectors: the step of the chapter."""
    A = np.array([[0.5, 0.0], [0.5, 0.5], [0.0, 0.5]])
    fit = MLEM(A, max_iter=1, image_init=[4.0, 4.0]).fit([3, 4, 1])
    np.testing.assert_allclose(fit.image_, [5.0, 3.0])


def test_against_direct_maximisation():
    rng = np.random.default_rng(2)
    A = rng.random((12, 4))
    y = rng.poisson(A @ [3.0, 9.0, 1.0, 6.0])
    direct = minimize(lambda u: (A @ np.exp(u)).sum() - y @ np.log(A @ np.exp(u)), np.ones(4), tol=1e-12)
    fit = MLEM(A, max_iter=200_000, tol=1e-10, accelerate="squarem").fit(y)
    np.testing.assert_allclose(A @ fit.image_, A @ np.exp(direct.x), rtol=1e-3)


def test_dense_sparse_and_functions_are_one(scan):
    A, _, counts = scan
    pair = (lambda x: A @ x, lambda y: A.T @ y)
    images = [np.ravel(MLEM(system, max_iter=5).fit(counts).image_) for system in (A, csc_array(A), A.toarray(), pair)]
    for other in images[1:]:
        np.testing.assert_allclose(other, images[0], rtol=1e-9, atol=1e-12)


def test_richardson_lucy_is_the_same_update():
    """scikit-image's, on a world of 3 x 3 copies whose middle knows of no edge; ours wraps around."""
    restoration = pytest.importorskip("skimage.restoration")
    rng = np.random.default_rng(3)
    psf = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256.0
    forward, back = blur(psf, mode="wrap")
    counts = rng.poisson(forward(100.0 * shepp_logan(48) + 1.0)).astype(float)
    theirs = restoration.richardson_lucy(np.tile(counts, (3, 3)), psf, num_iter=8, clip=False)[48:96, 48:96]
    ours = MLEM((forward, back), max_iter=8).fit(counts).image_
    np.testing.assert_allclose(ours, theirs, rtol=1e-8)


@pytest.mark.parametrize("mode", ["constant", "wrap"])
def test_a_lens_that_smears_to_one_side(mode):
    """The way back is the transpose, and not the lens once more."""
    forward, back = blur([[0.0, 1.0, 5.0], [0.0, 2.0, 0.0], [0.0, 0.0, 0.0]], mode=mode)
    matrix = np.array([forward(unit.reshape(6, 5)).ravel() for unit in np.eye(30)]).T
    np.testing.assert_allclose([back(unit.reshape(6, 5)).ravel() for unit in np.eye(30)], matrix, atol=1e-15)
    counts = np.random.default_rng(0).poisson(20, size=(6, 5))
    ours, plain = MLEM((forward, back), max_iter=5).fit(counts), MLEM(matrix, max_iter=5).fit(counts.ravel())
    np.testing.assert_allclose(ours.image_.ravel(), plain.image_)


@pytest.mark.parametrize("mode", ["constant", "wrap"])
@pytest.mark.parametrize("shape", ["product", "small", "large"])
def test_ways_to_convolve_are_one(mode, shape):
    """Axis by axis, directly, and by Fourier transforms; the way back is the transpose of each."""
    rng = np.random.default_rng(5)
    psf = {
        "product": np.outer(rng.random(17), rng.random(15)),
        "small": rng.random((5, 7)),
        "large": rng.random((17, 15)),
    }[shape]
    forward, back = blur(psf, mode=mode)
    image, other = rng.random((2, 40, 30)) * 100
    np.testing.assert_allclose(forward(image), convolve(image, psf / psf.sum(), mode=mode), rtol=1e-12)
    np.testing.assert_allclose(back(image), correlate(image, psf / psf.sum(), mode=mode), rtol=1e-12)
    assert (forward(image) * other).sum() == pytest.approx((image * back(other)).sum(), rel=1e-12)


def test_a_large_lens_has_no_negative_light():
    """Fourier transforms round below zero in the dark, where a photon may have been counted all the same."""
    y, x = np.ogrid[-12:13, -12:13]
    disc = (x * x + y * y <= 144).astype(float)
    camera = blur(disc)
    stars = np.zeros((80, 80))
    stars[20, 20], stars[60, 60] = 1e6, 1e4
    counts = np.random.default_rng(0).poisson(camera[0](stars))
    assert camera[0](stars).min() >= 0
    fit = MLEM(camera, max_iter=60).fit(counts)
    assert (np.diff(fit.trace_) > 0).all()
    assert fit.fitted_.sum() == pytest.approx(counts.sum(), rel=1e-9)
    assert np.unravel_index(fit.image_.argmax(), (80, 80)) == (20, 20)


def test_light_that_leaves_the_frame_is_accounted_for():
    """An even light seen through a lens is darker at the edge; the image is even again."""
    system = blur(np.ones((3, 3)))
    counts = system[0](np.full((9, 9), 7.0))
    assert counts[0, 0] < counts[4, 4]
    fit = MLEM(system, max_iter=3000, tol=0.0).fit(counts)
    np.testing.assert_allclose(fit.image_, 7.0, rtol=1e-2)


def test_stopping_early_is_nearer_to_the_truth(scan):
    A, head, counts = scan
    errors = []
    MLEM(A, max_iter=300).fit(counts, callback=lambda s: errors.append(np.linalg.norm(s.params.image - head.ravel())))
    best = int(np.argmin(errors))
    assert 3 < best < 100
    assert errors[-1] > 1.5 * errors[best]


def test_a_prior_keeps_pixels_alive(scan):
    A, _, counts = scan
    prior = GammaPrior(2.0, 0.05)
    fit = MLEM(A, max_iter=400, prior=prior).fit(counts)
    assert fit.image_.min() > 0.1
    assert (np.diff(fit.trace_) > -1e-6).all()


def test_the_phantom_and_the_scanner():
    head = shepp_logan(64)
    assert head.max() == pytest.approx(1.0)
    np.testing.assert_allclose(np.unique(head.round(9))[:3], [0.0, 0.00625, 0.0125])  # skull's edge, pixel by parts
    A = parallel_beam(24, 10)
    np.testing.assert_allclose(A.sum(axis=0), 1.0, rtol=1e-12)
    point = np.zeros((24, 24))
    point[3, 20] = 1.0  # right, near the top: x = 8.5, y = 8.5
    views = (A @ point.ravel()).reshape(10, -1)
    rng, middle = np.random.default_rng(0), views.shape[1] / 2
    x, y = 8.5 + rng.uniform(-0.5, 0.5, (2, 200_000))  # photons of that pixel, one by one
    for view, angle in zip(views, np.pi * np.arange(10) / 10, strict=True):
        strips = np.histogram(x * np.cos(angle) + y * np.sin(angle), np.arange(views.shape[1] + 1) - middle)[0]
        np.testing.assert_allclose(10 * view, strips / 200_000, atol=6e-3)


@pytest.mark.parametrize(
    ("system", "counts", "sentence"),
    [
        (np.eye(3), [1, -2, 3], r"counts holds -2 at \(1,\); photon counts must be finite, 0 or above"),
        (np.eye(3), [1, np.nan, 3], r"counts holds nan at \(1,\)"),
        (np.eye(3), [], "counts holds no number"),
        (np.eye(3), [1, 2], "counts has 2 numbers, but system has 3 detectors"),
        (np.diag([1.0, 0.0, 1.0]), [1, 0, 3], r"system has 1 empty column\(s\), first 1"),
        (np.array([[1.0, 1.0], [0.0, 0.0]]), [1, 5], "counts holds 5 at detector 1, which sees no pixel"),
        (-np.eye(2), [1, 2], "system holds a value that is negative"),
        ((np.cumsum, np.cumsum), [1.0, 2.0], "back must be the transpose of forward"),
        (None, [1, 2], r"system has the shape \(\); a matrix, detectors by pixels, or two functions"),
        (np.ones(2), [1, 2], r"system has the shape \(2,\)"),
        (np.ones((2, 2, 2)), [1, 2], r"system has the shape \(2, 2, 2\)"),
        ((np.cumsum,), [1, 2], "system has 1 parts, not all functions"),
        ((np.eye(2), np.cumsum), [1, 2], "system has 2 parts, not all functions"),
        (
            (lambda x: x[:3], lambda y: y),
            [1, 2, 3, 4],
            r"forward function returns the shape \(3,\), but counts .* \(4,\)",
        ),
        ((lambda x: np.ones((4, 2)) @ x, lambda y: y), [1, 2, 3, 4], r"system cannot take counts of the shape \(4,\)"),
        (
            blur(np.ones((3, 3))),
            [1, 2, 3],
            r"shape \(3,\): an image of shape \(3,\) does not fit a psf of shape \(3, 3\)",
        ),
    ],
)
def test_bad_input_gets_a_sentence(system, counts, sentence):
    with pytest.raises(ValueError, match=sentence):
        MLEM(system).fit(np.array(counts, dtype=float))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"prior": GammaPrior(np.full(5, 2.0), 1.0)}, "prior"),
        ({"prior": GammaPrior(2.0, np.ones(3))}, "prior"),
        ({"prior": GammaPrior(0.5, 1.0)}, "prior has the shape 0.5; below 1 it is infinite where a pixel is dark"),
        ({"prior": GammaPrior(np.nan, 1.0)}, "prior has shape"),
        ({"prior": GammaPrior("strong", 1.0)}, "prior.shape is 'strong'; it must be an array of numbers"),
        ({"shape": "ab"}, "shape is 'ab', but system has 8 pixels"),
        ({"shape": (2.0, 4.0)}, r"shape is \(2.0, 4.0\), but"),
        ({"shape": (-2, -4)}, r"shape is \(-2, -4\), but"),
        ({"image_init": "bright"}, "image_init is 'bright'; it must be an array of numbers"),
    ],
)
def test_options_that_do_not_fit_get_a_sentence(options, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        MLEM(np.eye(8), **options).fit(np.ones(8))
    assert "broadcast" not in str(caught.value)


def test_a_jump_below_zero_is_no_trap():
    """A pixel left at next to nothing grows again unseen, and the climb would end up to 75 nats below the top."""
    for seed in range(30):
        r = np.random.default_rng(seed)
        A = r.random((40, 10)) * (r.random((40, 10)) < 0.4)
        A[np.arange(10), np.arange(10)] += 0.1
        A = A[A.sum(axis=1) > 0]
        y = r.poisson(A @ r.gamma(0.5, 20, 10))
        slow = MLEM(A, max_iter=30_000, tol=1e-8).fit(y)
        fast = MLEM(A, max_iter=3000, tol=1e-6, accelerate="squarem").fit(y)
        assert fast.log_likelihood_ == pytest.approx(slow.log_likelihood_, abs=1e-3), seed


def test_a_prior_may_be_an_image():
    """What is expected of each pixel, in the shape of the picture."""
    rng = np.random.default_rng(4)
    A, counts = rng.random((30, 8)), rng.poisson(50, size=30)
    of_pixels = rng.uniform(1, 9, size=8)
    flat = MLEM(A, prior=GammaPrior(1 + of_pixels, 1.0)).fit(counts)
    image = MLEM(A, shape=(2, 4), prior=GammaPrior(1 + of_pixels.reshape(2, 4), np.ones((2, 4)))).fit(counts)
    np.testing.assert_array_equal(image.image_.ravel(), flat.image_)


def test_a_pair_of_functions_may_be_a_list():
    lens = blur(np.ones((3, 3)))
    counts = np.random.default_rng(0).poisson(20, size=(6, 5))
    np.testing.assert_array_equal(MLEM(list(lens)).fit(counts).image_, MLEM(lens).fit(counts).image_)


@pytest.mark.parametrize(
    ("psf", "sentence"),
    [
        (np.ones((2, 2)), r"psf has the shape \(2, 2\)"),
        (1.0, r"psf has the shape \(\)"),
        ([[1.0, np.inf, 1.0]], "with the sum inf"),
        ([[1.0, np.nan, 1.0]], "with the sum nan"),
        ("round", "psf is 'round'; it must be an array of numbers"),
    ],
)
def test_a_lens_that_is_none_gets_a_sentence(psf, sentence):
    with pytest.raises(ValueError, match=sentence):
        blur(psf)


def test_manners_of_scikit_learn(scan):
    A, _, counts = scan
    fit = MLEM(A, max_iter=3, shape=(32, 32)).fit(counts)
    again = clone(fit)
    assert again.get_params()["max_iter"] == 3
    np.testing.assert_array_equal(again.fit(counts).image_, fit.image_)
    np.testing.assert_allclose(fit.project(fit.image_), fit.fitted_)
    with pytest.raises(ValueError, match="shape is"):
        MLEM(A, shape=(3, 3)).fit(counts)
    with pytest.raises(ValueError, match="image_init must be"):
        MLEM(A, image_init=-np.ones(1024)).fit(counts)
    with pytest.raises(ValueError, match="mode is"):
        blur(np.ones((3, 3)), mode="reflect")
