"""The same fit on files and on chunks: same parameters, same sentences, little memory, workers that die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tracemalloc
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from emlib import (
    BernoulliMixture,
    BinomialMixture,
    GaussianMixture,
    KMeans,
    MultinomialMixture,
    PoissonMixture,
    select_n_components,
)
from emlib.data import old_faithful
from emlib.engine import blocks, families
from emlib.engine.blocks import Rows, expect_over_blocks
from emlib.engine.chunks import Chunks
from emlib.engine.latent import sampled
from emlib.engine.mixture import Mixture, MixtureParams
from emlib.models import checks, starts
from emlib.models.starts import enough_rows
from emlib.models.tables import lay_out, survey
from tests.models import lose_a_worker

ROOT = Path(__file__).parents[2]
SHAPES = ["full", "diag", "tied", "spherical", "tied_spherical"]


@pytest.fixture
def da():
    """Dask's arrays, on Dask's own scheduler of threads."""
    da = pytest.importorskip("dask.array", reason="Dask is not installed (pip install 'emlib[distributed]')")
    import dask

    with dask.config.set(scheduler="threads"):
        yield da


def overlapping(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, (n, 2)) @ [[1.0, 0.4], [0.0, 0.8]] + rng.choice([0.0, 2.5], size=(n, 1)) + 100.0


def counts(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    return rng.poisson(rng.choice([2.0, 6.0], size=(n, 1)), (n, 3))


def profiles(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    return rng.multinomial(20, np.array([[0.5, 0.3, 0.2], [0.2, 0.4, 0.4]])[rng.integers(2, size=n)])


def assert_same_fit(a, b, rtol=1e-10, least=4):
    assert a.n_iter_ == b.n_iter_ >= least
    for name in ("weights_", "means_", "covariances_", "rates_", "probs_", "cluster_centers_", "trace_"):
        if hasattr(a, name):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=rtol, atol=rtol, err_msg=name)


# ------------------------------------------------------------------ Dask arrays


@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random_from_data"])
@pytest.mark.parametrize("shape", SHAPES)
def test_gaussian_mixture_of_a_dask_array(da, shape, init):
    X = overlapping()
    model = GaussianMixture(2, covariance_type=shape, init_params=init, tol=1e-6, max_iter=1000, random_state=0)
    chunks = ((700, 0, 1, 1200, 1099), (2,))  # uneven, one of them empty, one of a single row
    assert_same_fit(model.fit(da.from_array(X, chunks=chunks)), type(model)(**model.get_params()).fit(X))


@pytest.mark.parametrize(
    ("model", "X"),
    [
        (PoissonMixture(2, random_state=0), counts()),
        (BinomialMixture(2, n_trials=[30, 40, 50], random_state=0), counts()),
        (BernoulliMixture(2, random_state=0), (counts() > 3).astype(np.int8)),
        (MultinomialMixture(2, random_state=0), profiles()),
        (PoissonMixture(2, random_state=0, accelerate="squarem"), counts().astype(np.uint16)),
    ],
    ids=lambda x: type(x).__name__,
)
def test_count_mixtures_of_a_dask_array(da, model, X):
    chunked = type(model)(**model.get_params()).fit(da.from_array(X, chunks=(800, 2)))  # columns in chunks too
    assert_same_fit(chunked, model.fit(X))
    assert chunked.bic(da.from_array(X, chunks=500)) == pytest.approx(model.bic(X), rel=1e-12)


def test_kmeans_of_a_dask_array(da):
    X = overlapping()
    lazy = da.from_array(X, chunks=700)
    a, b = (KMeans(4, random_state=0, tol=0).fit(table) for table in (lazy, X))
    assert_same_fit(a, b)
    assert a.inertia_ == pytest.approx(b.inertia_, rel=1e-12)
    assert a.score(lazy) == pytest.approx(-b.inertia_, rel=1e-12)
    assert isinstance(a.labels_, da.Array)
    np.testing.assert_array_equal(a.labels_, b.labels_)
    np.testing.assert_array_equal(a.predict(lazy), b.labels_)
    np.testing.assert_allclose(a.transform(lazy), b.transform(X), rtol=1e-10)


def test_chunks_are_cut_into_blocks(da, monkeypatch):
    """A chunk longer than a block is worked on block by block, and its constants belong to blocks."""
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 300)
    X = counts()
    assert_same_fit(
        PoissonMixture(2, random_state=0).fit(da.from_array(X, chunks=1000)), PoissonMixture(2, random_state=0).fit(X)
    )


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_answer_does_not_depend_on_the_workers(da):
    import dask

    X = da.from_array(overlapping(), chunks=150)  # 20 chunks: two layers of sums
    fits = []
    for options in ({"scheduler": "synchronous"}, {"num_workers": 1}, {"num_workers": 3}, {"num_workers": 3}):
        with dask.config.set(**options):
            fits.append(GaussianMixture(2, init_params="random", random_state=3, max_iter=9, tol=0).fit(X))
    for other in fits[1:]:
        assert_same_fit(fits[0], other, rtol=0)


@pytest.mark.parametrize("shape", ["full", "diag", "spherical"])
def test_chunks_agree_where_digits_would_be_lost(da, shape):
    """Narrow components in some chunks, a wide one in others: all must measure a component from the same point."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(0, 1e-3, (1000, 2)), rng.normal(1, 1e-3, (1000, 2)), rng.normal(0, 300, (1000, 2))])
    precisions = {"full": [np.eye(2) * p for p in (1e4, 1e4, 1e-4)], "diag": [[1e4] * 2, [1e4] * 2, [1e-4] * 2]}
    start = {"weights_init": [0.3, 0.3, 0.4], "means_init": [[0.0, 0.0], [1.0, 1.0], [10.0, 10.0]]}
    model = GaussianMixture(3, covariance_type=shape, reg_covar=0, tol=1e-9, **start)
    model.set_params(precisions_init=precisions.get(shape, [1e4, 1e4, 1e-4]))
    a, b = (type(model)(**model.get_params()).fit(table) for table in (da.from_array(X, chunks=500), X))
    assert_same_fit(a, b, least=2)
    np.testing.assert_allclose(a.means_[:2], [[0, 0], [1, 1]], atol=1e-3)


def test_random_responsibilities_come_from_streams_of_their_own(da):
    start = Mixture(families.Poisson()).from_responsibilities
    X = np.full((400, 1), 3.0)
    X[200:] = 3.0
    table = da.from_array(X, chunks=200)
    chunks = lay_out(table, np.zeros(1), survey(table))
    first, second = starts.Random(2, np.random.default_rng(0)).split(2)
    drawn = np.concatenate([first[0:200], second[0:200]])
    assert not np.array_equal(drawn[:200], drawn[200:])
    expected = start(X, drawn, 2)
    again = start(chunks, starts.Random(2, np.random.default_rng(0)), 2)
    np.testing.assert_allclose(again.weights, expected.weights, rtol=1e-12)


def test_sampled_labels_of_chunks_repeat(da):
    table = da.from_array(counts(), chunks=700)
    chunks = lay_out(table, np.zeros(3), survey(table))
    params = MixtureParams(np.array([0.5, 0.5]), families.PoissonParams(np.array([[2.0] * 3, [6.0] * 3])))
    model = Mixture(families.Poisson())
    draws = [
        expect_over_blocks(model, chunks, [params], sampled(np.random.default_rng(seed)))[0][0].totals
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])
    assert draws[0][:, 0].sum() == 3000


class Reads:
    """A table that counts how often its chunks are read."""

    def __init__(self, da, X, chunk):
        self.times = []
        self.table = da.from_array(X, chunks=chunk).map_blocks(self._read, dtype=X.dtype, meta=X[:0])

    def _read(self, part):
        self.times.append(len(part))
        return part


def test_one_look_before_the_first_step(da):
    """One pass for what must be known, none for a start that is given, one for a sample; then one for each E-step."""
    X, given = overlapping(1000), {"weights_init": [0.5, 0.5], "means_init": [[99.0, 99.0], [103.0, 103.0]]}
    reads = Reads(da, X, 250)
    model = GaussianMixture(2, precisions_init=[np.eye(2)] * 2, tol=1e-4, **given).fit(reads.table)
    assert len(reads.times) == 4 * (1 + model.starts_[0].n_evaluations)
    sampled_start = GaussianMixture(2, tol=1e-4, random_state=0, **given).fit(reads.table)
    passes = 1 + model.starts_[0].n_evaluations + 2 + sampled_start.starts_[0].n_evaluations
    assert len(reads.times) == 4 * passes


@pytest.mark.parametrize("model", [PoissonMixture(2), GaussianMixture(2, covariance_type="tied"), KMeans(2)], ids=str)
def test_constants_of_the_data_are_computed_once(da, model, monkeypatch):
    times: Counter[object] = Counter()
    once = Rows.once

    def counting(self, key, compute):
        if len(self) == 250:  # (a start may look at all 1000 rows at once)
            return once(self, key, lambda rows: times.update([key]) or compute(rows))
        return once(self, key, compute)

    monkeypatch.setattr(Rows, "once", counting)
    fitted = model.set_params(random_state=0).fit(da.from_array(counts(1000), chunks=250))
    assert fitted.n_iter_ > 3
    assert set(times.values()) == {4}


def test_constants_follow_the_data_and_the_family():
    X = counts(50)
    rows = Rows(X)
    params = MixtureParams(np.ones(1), families.BinomialParams(np.full((1, 3), 0.2)))
    for trials in (30.0, 40.0, 30.0):  # another number of trials is another constant, and an equal one the same
        model = Mixture(families.Binomial(np.full(3, trials)))
        assert model.e_step(rows, params)[1] == model.e_step(Rows(X), params)[1]
    assert len(rows.constants) == 2


def test_a_start_without_density_does_not_spoil_the_next(da):
    """The first pass over the chunks fails at one start; the climb from another must not inherit that."""
    from emlib.engine import em

    X = overlapping()
    table = da.from_array(X, chunks=1000)
    seen = survey(table)
    chunks = lay_out(table, seen.mean, seen)
    means = np.array([[-1.0, -1.0], [1.0, 1.0]])
    bad, good = (families.GaussianParams(means, np.stack([np.eye(2) * s] * 2)) for s in (-1.0, 1.0))
    best = em.search(
        Mixture(families.Gaussian()), chunks, [MixtureParams(np.array([0.5, 0.5]), c) for c in (bad, good)]
    )
    assert [fit.reason for fit in best.starts] == ["degenerate", "converged"]
    assert "component 0 has a covariance that is not positive definite" in best.starts[0].message


def test_starts_of_many_rows_are_found_on_a_sample(da, monkeypatch):
    X = np.arange(1000.0)[:, None]
    table = da.from_array(X, chunks=300)
    chunks = lay_out(table, np.zeros(1), survey(table))
    assert isinstance(chunks, Chunks)
    np.testing.assert_array_equal(enough_rows(chunks, np.random.default_rng(0)).X, X)  # few: all, in their order
    monkeypatch.setattr(starts, "SAMPLE_ROWS", 100)
    first, same, other = (enough_rows(chunks, np.random.default_rng(seed)).X.ravel() for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, same)
    assert len(first) == 100
    assert (np.diff(first) > 0).all()  # different rows of the table, in its order
    assert not np.array_equal(first, other)
    assert first.max() > 700 > 300 > first.min()

    assert enough_rows(Rows(X), np.random.default_rng(0)).X is X  # in memory it takes more rows than that
    monkeypatch.setattr(starts, "MANY_ROWS", 500)
    assert len(enough_rows(Rows(X), np.random.default_rng(0))) == 100


def test_predictions_are_dask_arrays(da):
    X = overlapping()
    lazy = da.from_array(X, chunks=((1000, 0, 2000), (2,)))
    fitted = GaussianMixture(2, random_state=0, tol=1e-6).fit(lazy)
    in_memory = {name: getattr(fitted, name)(X) for name in ("predict", "predict_proba", "score_samples")}
    results = {name: getattr(fitted, name)(lazy) for name in in_memory}
    score, bic, aic = fitted.score(X), fitted.bic(X), fitted.aic(X)
    assert (fitted.score(lazy), fitted.bic(lazy), fitted.aic(lazy)) == pytest.approx((score, bic, aic), rel=1e-12)
    assert isinstance(fitted.bic(lazy), float)
    fitted.set_params(n_components=3, tol=1e-3).fit(X)  # what was asked of the old fit must not change with the new
    for name, expected in in_memory.items():
        assert isinstance(results[name], da.Array)
        assert (results[name].shape, results[name].dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(results[name].compute(), expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(results[name][-3:].compute(), expected[-3:], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("criterion", ["bic", "icl", "aic"])
def test_number_of_components_of_a_dask_array(da, criterion):
    X = overlapping(1500)
    model = GaussianMixture(tol=1e-5, random_state=0)
    a, b = (select_n_components(model, table, [1, 2], criterion) for table in (da.from_array(X, chunks=400), X))
    np.testing.assert_allclose(a.scores, b.scores, rtol=1e-10)


# ------------------------------------------------------------------ what is refused


def with_bad(X, row, column, value):
    X = X.astype(float)
    X[row, column] = value
    return X


@pytest.mark.parametrize(
    ("model", "X"),
    [
        (GaussianMixture(2), with_bad(with_bad(overlapping(), 2905, 1, np.nan), 2999, 0, np.inf)),
        (GaussianMixture(2), with_bad(overlapping(), 2905, 1, -np.inf)),
        (KMeans(2), with_bad(overlapping(), 1999, 0, np.nan)),
        (PoissonMixture(2), with_bad(with_bad(counts(), 2901, 2, np.nan), 17, 1, -1.0)),  # NaN is named first
        (PoissonMixture(2), with_bad(counts(), 2901, 2, 1.5)),
        (BinomialMixture(2, n_trials=99), with_bad(counts(), 2901, 2, 100)),
        (BernoulliMixture(2), with_bad(counts() > 3, 2901, 0, 2)),
        (GaussianMixture(2, reg_covar=0), with_bad(overlapping(), slice(None), 1, 7.0)),
        (GaussianMixture(4000), overlapping()),
    ],
    ids=lambda x: type(x).__name__,
)
def test_the_same_sentence_as_for_arrays(da, model, X):
    with pytest.raises(ValueError, match=r"^(X |column 1 of X)") as in_memory:
        model.fit(X)
    with pytest.raises(ValueError, match=r"^(X |column 1 of X)") as chunked:
        model.fit(da.from_array(X, chunks=500))
    assert str(chunked.value) == str(in_memory.value)
    assert not hasattr(model, "n_features_in_")


@pytest.mark.parametrize("model", [GaussianMixture(2), PoissonMixture(2), KMeans(2)], ids=lambda m: type(m).__name__)
def test_tables_that_are_no_tables(da, model):
    X = da.from_array(counts(), chunks=500)
    for bad, sentence in [
        (X[X[:, 0] > 2], r"^X has chunks of unknown size; call X\.compute_chunk_sizes\(\) first\.$"),
        (X.astype(object), r"^X has the dtype object; numbers are needed, X\.astype\(float\) for instance\.$"),
        (X.astype(complex), r"^X has the dtype complex128; numbers are needed"),
        (X[:, 0], r"^X has 1 dimension\(s\) where it must have 2, rows and columns"),
        (X[:0], r"^X has 0 sample\(s\) \(shape=\(0, 3\)\)"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            model.fit(bad)
    filtered = X[X[:, 0] > 2].compute_chunk_sizes()
    assert model.fit(filtered).n_features_in_ == 3
    with pytest.raises(ValueError, match=r"X has 2 features, but .* is expecting 3 features"):
        model.predict(X[:, :2])

    class DaskDataFrame:
        def to_dask_array(self, lengths=None):
            raise AssertionError("must not be computed unasked")

    with pytest.raises(TypeError, match=r"^X is a Dask DataFrame; a Dask array is needed, X\.to_dask_array"):
        model.fit(DaskDataFrame())


def test_sparse_chunks(da):
    from scipy.sparse import csr_array

    X = da.from_array(counts(100), chunks=50).map_blocks(csr_array)
    with pytest.raises(TypeError, match=r"^X is a Dask array of csr_array; its chunks must be dense NumPy arrays\.$"):
        PoissonMixture(2).fit(X)


def test_a_bad_value_met_in_a_prediction_is_named(da):
    X = overlapping()
    lazy = da.from_array(with_bad(X, 2905, 1, np.nan), chunks=500)
    for model in (GaussianMixture(2, random_state=0), KMeans(2, random_state=0)):
        labels = model.fit(X).predict(lazy)
        with pytest.raises(ValueError, match=r"^X holds NaN in row 2905, column 1; every value must be"):
            labels.compute()
    wrong = da.from_array(with_bad(counts(), 2905, 1, -1), chunks=500)
    with pytest.raises(ValueError, match=r"^X holds -1 in row 2905, column 1; counts must be whole"):
        PoissonMixture(2, random_state=0).fit(counts()).score(wrong)


def test_cross_validation_of_chunks_is_refused(da):
    with pytest.raises(ValueError, match=r"^criterion is 'cv', which deals out single rows; of a Dask array use 'bic'"):
        select_n_components(GaussianMixture(), da.from_array(overlapping(), chunks=500), [1, 2], "cv")


# ------------------------------------------------------------------ files


@pytest.fixture
def mapped(tmp_path):
    """Writes an array to a file and opens it there."""

    def to_file(X, dtype=float):
        file = np.memmap(tmp_path / "X.bin", dtype=dtype, mode="w+", shape=X.shape)
        file[:] = X
        file.flush()
        return np.memmap(tmp_path / "X.bin", dtype=dtype, mode="r", shape=X.shape)

    return to_file


@pytest.mark.parametrize("dtype", ["f8", "f4", ">f8", "f2"])
def test_a_file_gives_the_same_fit(mapped, dtype):
    file = mapped(overlapping(), dtype)
    X = np.array(file, dtype=float)
    for shape in SHAPES:
        a, b = (GaussianMixture(2, covariance_type=shape, random_state=0, tol=1e-5).fit(table) for table in (file, X))
        # float16 and byte-swapped files are not converted beforehand, so that sums may be rounded elsewhere
        assert_same_fit(a, b, rtol=0 if dtype == "f8" else 1e-10)
        np.testing.assert_allclose(a.score_samples(file), b.score_samples(X), rtol=1e-9)


def test_a_file_of_counts_gives_the_same_fit(mapped):
    file = mapped(counts(), np.uint8)
    assert_same_fit(PoissonMixture(2, random_state=0).fit(file), PoissonMixture(2, random_state=0).fit(np.array(file)))
    a, b = KMeans(3, random_state=0).fit(file), KMeans(3, random_state=0).fit(counts())
    np.testing.assert_array_equal(a.labels_, b.labels_)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks, and samples, so small that a table of a few MB has many; on two threads."""
    for module in (blocks, checks, starts):
        monkeypatch.setattr(module, "BLOCK_ROWS", 2**12)
    monkeypatch.setattr(starts, "MANY_ROWS", 2**14)
    monkeypatch.setattr(starts, "SAMPLE_ROWS", 2**12)
    monkeypatch.setenv("EMLIB_NUM_THREADS", "2")


def peak(work):
    """Most memory that Python and NumPy held during the work, in bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("model", "dtype"),
    [
        (GaussianMixture(2, max_iter=3, tol=0), "f4"),
        (GaussianMixture(2, max_iter=3, tol=0, covariance_type="tied", init_params="k-means++"), "f8"),
        (PoissonMixture(2, max_iter=3, tol=0, init_params="random"), "u1"),
        (PoissonMixture(2, max_iter=3, tol=0, init_params="random_from_data"), ">i2"),
    ],
    ids=lambda x: str(x)[:30],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_file_is_never_copied(mapped, small_blocks, model, dtype):
    """Memory does not grow with the rows: of a file of 1 to 8 MB no more than blocks are held at any time.

    They need 1.5 MB here; a mask over the table would need 1 MB more, a copy of it as floats 8 MB.
    """
    n = 2**18
    file = mapped(np.random.default_rng(0).poisson(5, (n, 4)), dtype)
    model.set_params(random_state=0).fit(file[: 2**14]).score(file[: 2**14])  # work arrays are made once
    assert peak(lambda: model.fit(file)) < 2.2 * 2**20
    assert peak(lambda: (model.score(file), model.bic(file))) < 2.2 * 2**20
    assert peak(lambda: model.predict(file)) < 2.2 * 2**20 + 8 * n  # what is asked for, and no more
    assert peak(lambda: model.predict_proba(file)) < 2.2 * 2**20 + 2 * 8 * n


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_kmeans_copies_no_file(mapped, small_blocks):
    n = 2**18
    file = mapped(np.random.default_rng(0).normal(0, 1, (n, 4)), "f4")
    model = KMeans(3, random_state=0, max_iter=3, tol=0.1).fit(file[: 2**14])
    assert peak(lambda: model.fit(file)) < 2.2 * 2**20 + 8 * n  # its labels
    assert peak(lambda: model.score(file)) < 2.2 * 2**20


def test_far_rows_are_found_block_by_block(mapped, monkeypatch):
    """k-means++ needs a few numbers for every row, but no copy of the rows."""
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 2**10)
    n, d = 2**14, 64
    file = mapped(np.random.default_rng(0).normal(0, 1, (n, d)), "f4")
    assert peak(lambda: starts.kmeans_plus_plus(file, 3, np.random.default_rng(0))) < n * d * 8 / 2


def test_a_sample_of_chunks_needs_memory_for_itself_alone(da):
    n = 2**21
    table = da.full((n, 1), 3.0, chunks=2**16)
    chunks = Chunks(table.to_delayed().ravel(), table.chunks[0], np.zeros(1), np.ones(1))
    chunks.sample(10, np.random.default_rng(0))
    assert peak(lambda: chunks.sample(1000, np.random.default_rng(0))) < 4 * n  # not even a number for every row


def test_sampling_needs_memory_for_the_rows_alone():
    X = np.random.default_rng(0).normal(0, 1, (200, 30))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = GaussianMixture(2, random_state=0).fit(X)
    n = 20_000
    assert peak(lambda: fitted.sample(n)) < 5 * n * 30 * 8  # one matrix for each row would be 30 times its size
    rows, labels = fitted.sample(n)
    for k in range(2):
        np.testing.assert_allclose(np.cov(rows[labels == k].T), fitted.covariances_[k], atol=0.15)


def test_more_rows_than_blocks_in_memory(monkeypatch):
    """Surveys of blocks add up to what one look at everything sees."""
    X = overlapping()
    X = np.hstack([X, np.full((len(X), 1), 4.0)])
    X[:, 1] = X[0, 1]
    X[2000:, 1] += 1.0  # constant in every block, but not in all
    whole = survey(X)
    monkeypatch.setattr(blocks, "BLOCK_ROWS", 100)
    parts = survey(X)
    np.testing.assert_allclose(parts.mean, X.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(parts.squares / len(X), X.var(axis=0), rtol=1e-11, atol=1e-20)
    np.testing.assert_allclose(parts.scale(np.zeros(3)), np.sqrt((X**2).mean(axis=0)), rtol=1e-13)
    assert whole.constant.tolist() == parts.constant.tolist() == [False, False, True]


@pytest.mark.parametrize("n", [1, 2, 9, 40])
def test_a_column_is_constant_only_if_every_row_agrees(n):
    X = np.full((n, n), 3, dtype=np.uint8)
    np.fill_diagonal(X, 5)  # column j differs in row j alone
    X = np.hstack([X, np.full((n, 2), 7, dtype=np.uint8)])
    assert survey(X).constant.tolist() == [n == 1] * n + [True] * 2


# ------------------------------------------------------------------ a cluster that loses workers


def fit_that_loses_a_worker(folder, when):
    """What is left of a fit in a process of its own (`lose_a_worker`), beside the same fit in memory."""
    pytest.importorskip("distributed", reason="distributed is not installed (pip install 'emlib[distributed]')")
    X = counts(4000)[:, :2]
    np.save(folder / "X.npy", X)
    script = [sys.executable, lose_a_worker.__file__, str(folder), when]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(script, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert ran.returncode == 0, ran.stderr
    outcome = np.load(folder / "outcome.npz")
    expected = PoissonMixture(2, **lose_a_worker.START).fit(X)
    assert outcome["iterations"] == expected.n_iter_ > 10
    assert outcome["killed"] != outcome["client"]
    np.testing.assert_allclose(outcome["rates"], expected.rates_, rtol=0, atol=1e-10)
    return outcome


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_worker_lost_inside_an_e_step_costs_time_only(tmp_path):
    """It dies with a chunk in its hands, in the fifth of many E-steps; the other goes on."""
    outcome = fit_that_loses_a_worker(tmp_path, "inside")
    assert len(outcome["later"]) > 5
    assert outcome["killed"] not in outcome["later"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_worker_lost_with_its_chunks_costs_time_only(tmp_path):
    """What it held, and only that, is read again."""
    outcome = fit_that_loses_a_worker(tmp_path, "between")
    assert (outcome["before"] == 1).all()
    assert (outcome["after"] > 1).any()


def test_what_needs_all_rows_at_once_and_what_does_not(da):
    X = old_faithful()
    chunked = da.from_array(X, chunks=(100, 2))
    with pytest.raises(ValueError, match="reseed=True looks for the rows explained worst, but X is a Dask array"):
        GaussianMixture(2, reseed=True).fit(chunked)
    given = {"means_init": [[2.0, 55.0], [4.0, 80.0]], "prior": "weak", "n_init": 3, "prune": True, "random_state": 0}
    weak, same = GaussianMixture(2, **given).fit(chunked), GaussianMixture(2, **given).fit(X)
    assert weak.log_likelihood_ == pytest.approx(same.log_likelihood_, rel=1e-4)
    many = GaussianMixture(2, n_init=4, init_params="varied", random_state=0).fit(chunked)
    assert len(many.starts_) == 4
