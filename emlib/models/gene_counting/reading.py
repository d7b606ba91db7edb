"""What people hand in: counts by phenotype, lists of phenotypes, reads, genotype likelihoods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...engine.latent import FloatArray
from ..checks import Numeric, check_real, in_short
from .model import log_likelihoods


def read_counts(X: Any, phenotypes: tuple[str, ...]) -> FloatArray:
    """People (P,) of each phenotype: from a mapping, a list of phenotypes (one a person), or counts in order.

    A pandas Series of counts with names for labels, as of `value_counts`, is a mapping too.

    Raises
    ------
    TypeError, ValueError
        In one sentence: an unknown phenotype, a count that is none, nobody at all.

    Examples
    --------
    >>> read_counts({"O": 2, "A": 1}, ("A", "B", "AB", "O")).tolist()
    [1.0, 0.0, 0.0, 2.0]
    >>> read_counts(["O", "A", "O"], ("A", "B", "AB", "O")).tolist()
    [1.0, 0.0, 0.0, 2.0]
    """
    if isinstance(X, Mapping) or _labelled(X):
        counts = np.zeros(len(phenotypes))
        for name, count in X.items():
            counts[_place(str(name), phenotypes)] += _count(f"X[{name!r}]", count)
    else:
        given = _plain_array(X, phenotypes)
        if given.dtype.kind in "US":
            names, many = np.unique(given.astype(str), return_counts=True)
            counts = np.zeros(len(phenotypes))
            for name, count in zip(names.tolist(), many, strict=True):
                counts[_place(name, phenotypes)] = count
        else:
            if given.shape != (len(phenotypes),):
                raise ValueError(
                    f"X has shape {given.shape}; it must hold {len(phenotypes)} counts, for {_listed(phenotypes)}."
                )
            counts = np.array([_count(f"X[{i}]", count) for i, count in enumerate(given.tolist())])
    if not counts.sum() > 0:
        raise ValueError("X counts nobody; at least one person is needed.")
    return counts


def _labelled(X: Any) -> bool:
    """Whether it is a Series of counts by phenotype (not of phenotypes by person)."""
    if getattr(X, "ndim", None) != 1 or not hasattr(X, "items"):
        return False
    return all(isinstance(name, str) and not isinstance(value, str) for name, value in X.items())


def _plain_array(X: Any, phenotypes: tuple[str, ...]) -> Numeric:
    try:
        given: Numeric = np.asarray(X)
    except ValueError:
        raise ValueError(f"X has rows of different lengths; {len(phenotypes)} counts are needed.") from None
    if given.dtype.kind == "O" and all(isinstance(value, str) for value in given.ravel().tolist()):
        given = given.astype(str)
    if given.dtype.kind not in "USiufb" or given.ndim != 1 or not given.size:
        raise TypeError(
            f"X is {in_short(X)}; it must map phenotypes to counts, list the phenotype of each person, "
            f"or hold {len(phenotypes)} counts, for {_listed(phenotypes)}."
        )
    return given


def _place(name: str, phenotypes: tuple[str, ...]) -> int:
    if name not in phenotypes:
        raise ValueError(f"X has the phenotype {name!r}, which is not one of {_listed(phenotypes)}.")
    return phenotypes.index(name)


def _count(where: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not (number >= 0 and number == np.floor(number) and np.isfinite(number)):
        raise ValueError(f"{where} is {value!r}; people are counted in whole numbers, 0 or above.")
    return number


def _listed(phenotypes: tuple[str, ...]) -> str:
    return ", ".join(map(repr, phenotypes))


def read_log_likelihoods(X: Any) -> FloatArray:
    """Log-likelihoods (n, L, 3), checked; a table (n, 3) is one site.

    Raises
    ------
    TypeError, ValueError
        In one sentence, with person and site.
    """
    try:
        logs = np.asarray(X, dtype=float)
    except (TypeError, ValueError):
        raise TypeError(
            f"X is {in_short(X)}; genotype log-likelihoods of shape (n, L, 3) are needed. "
            "(To count phenotypes, say which: GeneCounting('ABO').)"
        ) from None
    if logs.ndim not in (2, 3) or logs.shape[-1] != 3 or not logs.size:
        raise ValueError(
            f"X has shape {logs.shape}; log-likelihoods of three genotypes have (n, L, 3), or (n, 3) at one site."
        )
    logs = logs[:, None] if logs.ndim == 2 else logs
    for found, bad in (("NaN", np.isnan), ("a value above 0", lambda values: values > 0)):
        _refuse(logs, bad(logs).any(axis=2), found)
    _refuse(logs, (logs == -np.inf).all(axis=2), "three times -inf")
    silent = (logs == logs[:, :, :1]).all(axis=(0, 2))
    if silent.any():
        raise ValueError(
            f"X says nothing about {int(silent.sum())} site(s), the first of them {int(np.argmax(silent))}: every "
            "person's three log-likelihoods are equal there; leave such sites out."
        )
    return logs


def _refuse(logs: FloatArray, bad: Numeric, found: str) -> None:
    if bad.any():
        person, site = (int(index) for index in np.argwhere(bad)[0])
        cure = {
            "NaN": "where nothing was read, give three zeros",
            "a value above 0": "natural logarithms of likelihoods are 0 or below, so take np.log of likelihoods",
            "three times -inf": "some genotype must be possible",
        }[found]
        raise ValueError(f"X holds {found} for person {person} at site {site} ({logs[person, site].tolist()}); {cure}.")


def genotype_log_likelihoods(reference: Any, alternate: Any, error: float = 0.01) -> FloatArray:
    """Log-likelihoods of the three genotypes, from reads that show either allele.

    A read shows the alternate allele with probability `error`, 1/2 or ``1 - error`` if the genotype has 0, 1 or 2
    copies of it, and reads are independent (eq. 8.7). The binomial coefficient is the same for all genotypes and left
    out.

    Parameters
    ----------
    reference, alternate : array (n, L)
        Reads of either allele, of each person at each site; any shape, the same for both.
    error : float
        Chance that a read shows the other allele, above 0 and below 1/2.

    Returns
    -------
    array (n, L, 3)
        In nats, for 0, 1 and 2 copies of the alternate allele. Three zeros where nothing was read.

    Raises
    ------
    ValueError
        If reads are no counts, shapes differ, or `error` lies outside.

    Examples
    --------
    Two reads of the alternate allele, none of the reference; a heterozygote would show this in one of four cases:

    >>> np.exp(genotype_log_likelihoods([0], [2], error=0.1)).round(2).tolist()
    [[0.01, 0.25, 0.81]]
    """
    if not 0 < check_real("error", error) < 0.5:
        raise ValueError(f"error is {error!r}; it must lie above 0 and below 0.5.")
    counts = []
    for name, given in (("reference", reference), ("alternate", alternate)):
        try:
            reads = np.asarray(given, dtype=float)
        except (TypeError, ValueError):
            raise ValueError(f"{name} is {in_short(given)}; it must hold numbers of reads.") from None
        bad = ~((reads >= 0) & (reads == np.floor(reads)) & np.isfinite(reads))
        if bad.any():
            raise ValueError(f"{name} holds {reads[bad][0]:g}; reads are counted in whole numbers, 0 or above.")
        counts.append(reads)
    if counts[0].shape != counts[1].shape:
        raise ValueError(
            f"reference has shape {counts[0].shape} and alternate {counts[1].shape}; they must be the same."
        )
    return log_likelihoods(counts[0], counts[1], float(error))
