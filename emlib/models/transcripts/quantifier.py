"""The estimator: counts and TPM of transcripts, what is uncertain in them, and the table that others read."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ...engine import em
from ...engine.latent import FloatArray
from ..base import to_converge
from ..checks import as_numbers, check_real, check_whole, generator
from ..uncertainty import check_level
from .classes import EquivalenceClasses
from .identifiability import Identifiability, identifiability, slack
from .model import TranscriptModel, TranscriptParams, gap

BATCH = 2**22  # numbers of expected counts in one batch of resampled experiments, 32 MB


@dataclass(frozen=True, eq=False)
class TranscriptBootstrap:
    """Fits to resampled fragments; from `TranscriptQuantifier.bootstrap`.

    Attributes
    ----------
    counts, tpm : array (B, T)
    """

    counts: FloatArray
    tpm: FloatArray

    @property
    def standard_errors(self) -> FloatArray:
        """Of the counts (T,)."""
        return self.counts.std(axis=0, ddof=1)

    def interval(self, level: float = 0.95) -> FloatArray:
        """Percentile intervals of the counts (2, T)."""
        tail = 0.5 - 0.5 * check_level(level)
        return np.quantile(self.counts, [tail, 1.0 - tail], axis=0)


class TranscriptQuantifier(BaseEstimator):  # type: ignore[misc]
    """How many fragments came from each transcript, by EM on equivalence classes.

    Parameters
    ----------
    accelerate : {"squarem", None} or Accelerator
        Shares of transcripts that look alike converge slowly; SQUAREM takes several times fewer steps.
    tol, max_iter
        Of the climb, in nats (`engine.em.fit`).

    Attributes
    ----------
    names_ : tuple of str
    counts_ : array (T,)
        Expected fragments of each transcript; they sum to all fragments.
    tpm_ : array (T,)
        Transcripts per million (eq. 11.8).
    shares_ : array (T,)
    effective_lengths_ : array (T,)
    classes_ : EquivalenceClasses
        What was fitted.
    log_likelihood_ : float
        Of the classes, up to a constant that does not depend on the shares, in nats.
    gap_ : float
        How many nats it can at most lie below its maximum (`gap`).
    trace_, n_iter_, stop_reason_, converged_
        Of the climb.

    Notes
    -----
    The log-likelihood is concave: there is one summit, and no need for several starts. It may be flat, though: compare
    log-likelihoods, not counts, with those of another program (`slack`, `identifiability`).

    References
    ----------
    Xing et al. (2006), *Nucleic Acids Research* 34; Li et al. (2010), *Bioinformatics* 26; Bray et al. (2016), *Nature
    Biotechnology* 34; Patro et al. (2017), *Nature Methods* 14.

    Examples
    --------
    >>> quantifier = TranscriptQuantifier().fit([[0], [1], [0, 1]], [30, 10, 60], effective_lengths=[1000, 1000])
    >>> quantifier.counts_.round(3).tolist(), quantifier.tpm_.round().tolist()
    ([75.0, 25.0], [750000.0, 250000.0])
    """

    def __init__(self, *, accelerate: Any = "squarem", tol: float = 1e-6, max_iter: int = 10_000) -> None:
        self.accelerate = accelerate
        self.tol = tol
        self.max_iter = max_iter

    def fit(
        self,
        classes: EquivalenceClasses | Sequence[Sequence[int]],
        counts: ArrayLike | None = None,
        effective_lengths: ArrayLike | None = None,
        *,
        callback: Any = None,
        progress: bool | None = None,
    ) -> TranscriptQuantifier:
        """Share the fragments out.

        Parameters
        ----------
        classes : EquivalenceClasses, or C lists of transcript numbers
            Weights of salmon's weighted classes are used as they stand; else one over the effective length counts.
        counts : array (C,), optional
            Needed with lists.
        effective_lengths : array (T,), optional
            Needed unless the classes have them. All ones if all transcripts are alike.
        callback, progress
            As in `engine.em.fit`.

        Raises
        ------
        ValueError
            In one sentence, for classes or lengths that cannot be used.
        """
        tol, max_iter = check_real("tol", self.tol), check_whole("max_iter", self.max_iter, 0)
        given = _classes(classes, counts, effective_lengths)
        T = len(given.names)
        touched = np.bincount(given.members, np.repeat(given.counts, given.sizes), minlength=T) > 0
        start = TranscriptParams(touched / touched.sum())
        found = em.fit(
            TranscriptModel(),
            given,
            start,
            tol=tol,
            max_iter=max_iter,
            accelerate=self.accelerate,
            callback=callback,
            progress=progress,
        )
        shares = found.params.shares
        self.classes_, self.names_ = given, given.names
        self.effective_lengths_: FloatArray = np.asarray(given.effective_lengths)
        self.shares_ = shares
        self.counts_ = given.n_fragments * shares
        self.tpm_ = tpm(self.counts_, self.effective_lengths_)
        self.log_likelihood_, self.trace_ = found.log_likelihood, found.trace
        self.gap_ = gap(given, shares)
        self.n_iter_, self.stop_reason_, self.converged_ = found.n_iter, found.reason, found.converged
        if found.reason == "max_iter":
            warnings.warn(
                f"TranscriptQuantifier stopped at max_iter={found.n_iter}, at most {self.gap_:.3g} nats below the "
                f"maximum; {to_converge(self)}.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def score(self, counts: ArrayLike) -> float:
        """The log-likelihood of the fitted classes at other counts (T,), another program's for instance.

        Raises
        ------
        ValueError
            If they are no T counts.
        """
        check_is_fitted(self)
        other = as_numbers("counts", counts)
        if (
            other.shape != self.counts_.shape
            or not np.isfinite(other).all()
            or (other < 0).any()
            or not other.sum() > 0
        ):
            raise ValueError(f"counts must be {len(self.counts_)} finite numbers, none below 0 and one above it.")
        return TranscriptModel().e_step(self.classes_, TranscriptParams(other / other.sum()))[1]

    def responsibilities(self) -> FloatArray:
        """For each member of each class the probability that a fragment of the class is its own (M,), eq. 11.5."""
        check_is_fitted(self)
        joint = self.classes_.matrix.data * self.shares_[self.classes_.members]
        total = np.add.reduceat(joint, self.classes_.starts[:-1])
        return joint / np.repeat(np.where(total > 0, total, 1.0), self.classes_.sizes)

    def identifiability(self) -> Identifiability:
        """Which transcripts the classes cannot tell apart."""
        check_is_fitted(self)
        return identifiability(self.classes_)

    def slack(self, nats: float = 0.01) -> FloatArray:
        """How many fragments each count can move (T,) before the log-likelihood has fallen by `nats`; see `slack`."""
        check_is_fitted(self)
        return slack(self.classes_, self.shares_, check_real("nats", nats))

    def bootstrap(self, n_resamples: int = 100, *, random_state: Any = None, tol: float = 1e-3) -> TranscriptBootstrap:
        """Draw the fragments again with replacement, and fit again; all experiments are one batch of matrix products.

        What is uncertain about a count is then seen in its spread, that of a flat likelihood included. Bias from an
        annotation that lacks the true transcript is not.

        Parameters
        ----------
        n_resamples : int
        random_state : None, int, Generator or RandomState
        tol : float
            Nats left to gain, for each experiment.

        Raises
        ------
        ValueError
            For a bad number, or counts that are not whole.
        """
        check_is_fitted(self)
        B, tol = check_whole("n_resamples", n_resamples, 2), check_real("tol", tol)
        rng, T = generator(random_state), len(self.names_)
        batch = max(1, BATCH // max(T, len(self.classes_)))
        drawn = []
        for first in range(0, B, batch):
            size = min(batch, B - first)
            data = self.classes_.resampled(size, rng)
            touched = self.shares_ > 0
            start = 0.9 * self.shares_ + 0.1 * touched / touched.sum()
            fit = em.fit(
                TranscriptModel(),
                data,
                TranscriptParams(np.tile(start, (size, 1))),
                tol=size * tol,
                max_iter=check_whole("max_iter", self.max_iter, 0),
                accelerate=self.accelerate,
                progress=False,
            )
            drawn.append(fit.params.shares)
        counts = self.classes_.n_fragments * np.concatenate(drawn)
        return TranscriptBootstrap(counts, tpm(counts, self.effective_lengths_))

    def table(self, **columns: ArrayLike) -> str:
        """As salmon's ``quant.sf``: Name, Length, EffectiveLength, TPM, NumReads, and further columns (T,)."""
        check_is_fitted(self)
        lengths = self.classes_.lengths
        shown = [f"{length:.0f}" for length in lengths] if lengths is not None else ["NA"] * len(self.names_)
        lines = ["\t".join(["Name", "Length", "EffectiveLength", "TPM", "NumReads", *columns])]
        more = np.column_stack([self.effective_lengths_, self.tpm_, self.counts_, *map(np.asarray, columns.values())])
        for name, length, numbers in zip(self.names_, shown, more, strict=True):
            rest = [f"{numbers[0]:.3f}", f"{numbers[1]:.6f}", *(f"{number:.3f}" for number in numbers[2:])]
            lines.append("\t".join([name, length, *rest]))
        return "\n".join(lines) + "\n"


def tpm(counts: ArrayLike, effective_lengths: ArrayLike) -> FloatArray:
    """Transcripts per million: fragments over effective length first, then scaled to a sum of 1e6 (eq. 11.8).

    Parameters
    ----------
    counts : array (..., T)
    effective_lengths : array (T,)

    Examples
    --------
    >>> tpm([60.0, 40.0], [3000.0, 1000.0]).round().tolist()
    [333333.0, 666667.0]
    """
    rate = np.asarray(counts, dtype=float) / np.asarray(effective_lengths, dtype=float)
    scaled: FloatArray = 1e6 * rate / rate.sum(axis=-1, keepdims=True)
    return scaled


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Write a file whole or not at all: beside it first, then renamed."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf8") as stream:
            stream.write(text)
        umask = os.umask(0)
        os.umask(umask)
        Path(beside).chmod(0o666 & ~umask)
        Path(beside).replace(target)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _classes(classes: Any, counts: ArrayLike | None, effective_lengths: ArrayLike | None) -> EquivalenceClasses:
    if not isinstance(classes, EquivalenceClasses):
        if counts is None:
            raise ValueError("counts is None; lists of transcripts need a count for each class.")
        given = EquivalenceClasses.of(classes, counts, effective_lengths=effective_lengths)
    elif counts is not None:
        raise ValueError("counts are given twice: the classes have counts of their own.")
    else:
        given = classes if effective_lengths is None else classes.with_lengths(effective_lengths)
    if given.counts.ndim != 1:
        raise ValueError(f"classes hold {len(given.counts)} resampled experiments; fit takes one.")
    if given.effective_lengths is None:
        raise ValueError(
            "transcripts have no effective lengths, and without them long ones would take too much; give "
            "effective_lengths, all ones if they are alike."
        )
    return given
