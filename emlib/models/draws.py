"""What a sampler returns: draws from a posterior, and the care that labels need."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..engine.kernel import log_joints
from ..engine.latent import FloatArray
from ..engine.mixture import Mixture, MixtureParams, log_weights_of
from .checks import check_table
from .tables import rows_of, survey

SWITCHED = 0.01  # a share of draws with other labels from which on a mean per label is no longer of one component
AT_ONCE = 4_000_000  # log joint densities evaluated at a time (32 MB)
ROUNDS = 100  # of Stephens' algorithm; it ends when no label moves, after a few
UNLIKELY = 1e-12  # shares below this are as good as zero to Stephens' algorithm


@dataclass(frozen=True)
class Draws:
    """Draws from the posterior of a mixture (of a hidden Markov model: `PathDraws`).

    Attributes
    ----------
    parameters : dict of arrays (chains, draws, ...)
        ``weights`` (chains, draws, K) and the parameters of the components under the names of their estimator,
        without the underscore: ``means``, ``covariances``, ``rates``, ``sizes``, ``zero_inflation``, ``probs``. Also as
        ``draws["means"]``.
    log_likelihood : array (chains, draws)
        Total, in nats, at each draw.
    swaps : array (temperatures - 1,)
        Accepted share of the exchanges between neighbouring temperatures.
    labelling : str
        How components got their numbers: "as drawn", or by which rule.
    """

    parameters: dict[str, FloatArray]
    log_likelihood: FloatArray
    swaps: FloatArray
    labelling: str
    model: Any  # the unfitted estimator
    component_type: type
    shared: tuple[str, ...]  # names of what all components share

    def __getitem__(self, name: str) -> FloatArray:
        return self.parameters[name]

    @property
    def n_components(self) -> int:
        """The number of components, K."""
        return self.parameters["weights"].shape[2]

    def __repr__(self) -> str:
        C, D = self.log_likelihood.shape
        names = ", ".join(self.parameters)
        return f"<{C} chains of {D} draws of {names}; {self.n_components} components labelled {self.labelling}>"

    # ------------------------------------------------------------------ tables and plots

    def summary(self, **options: Any) -> Any:
        """A table of means, spreads, intervals, Monte-Carlo errors, effective sizes and R-hat, by ArviZ.

        Parameters
        ----------
        **options
            For ``arviz.summary``, such as ``var_names=["means"]``.

        Returns
        -------
        pandas.DataFrame

        Warns
        -----
        UserWarning
            If labels have switched: a mean over draws of "component 0" then mixes several components.
        """
        share = self.switching
        if self.labelling == "as drawn" and share > SWITCHED:
            warnings.warn(
                f"labels have switched in {share:.0%} of the draws, so summaries per component mean nothing; "
                'use draws.relabelled("order") or draws.relabelled("stephens", X) first.',
                UserWarning,
                stacklevel=2,
            )
        return _arviz().summary(self.to_arviz(), **options)

    def to_arviz(self, X: Any = None) -> Any:
        """The draws for ArviZ: trace, rank, forest and autocorrelation plots, R-hat, effective sizes, LOO.

        Parameters
        ----------
        X : array (n, d), optional
            The rows; with them the log-likelihood of each is included, which ``arviz.loo`` needs.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            The first from ArviZ below 1, the second from later ones.

        Raises
        ------
        ImportError
            If ArviZ is not installed.
        """
        arviz = _arviz()
        groups: dict[str, dict[str, FloatArray]] = {
            "posterior": self.parameters,
            "sample_stats": {"log_likelihood": self.log_likelihood},
        }
        if X is not None:
            groups["log_likelihood"] = {"x": self.pointwise(X)}
        names = {name: self._dims(name) for name in self.parameters}
        if int(arviz.__version__.split(".")[0]) >= 1:
            return arviz.from_dict(groups, dims=names)
        return arviz.from_dict(**groups, dims=names)

    def _dims(self, name: str) -> list[str]:
        own = [] if name in self.shared else ["component"]
        return own + ["column", "column_too"][: self.parameters[name].ndim - 2 - len(own)]

    # ------------------------------------------------------------------ at the rows

    def pointwise(self, X: Any) -> FloatArray:
        """Log density (chains, draws, n) of every row at every draw."""
        blocks = [np.logaddexp.reduce(A, axis=2) for A in self._log_joints(X)]
        return np.concatenate(blocks).reshape(*self.log_likelihood.shape, -1)

    def _log_joints(self, X: Any) -> Iterator[FloatArray]:
        """Log joint densities (some draws, n, K), draw after draw."""
        table = check_table(X)
        seen, d = survey(table, self.model._check_rows), table.shape[1]
        if d != self.parameters[self._location].shape[-1]:
            raise ValueError(f"X has {d} columns; the draws are of {self.parameters[self._location].shape[-1]}.")
        rows, mixture = rows_of(table, self.model._origin(seen), seen), Mixture(self.model._family(d))
        M, K = self.log_likelihood.size, self.n_components
        step = max(1, AT_ONCE // (K * len(table))) if not self.shared else 1
        for i in range(0, M, step):
            params = self._listed(slice(i, min(i + step, M)), rows.origin)
            with np.errstate(invalid="ignore"):  # log weights of zero
                natural = mixture.family.natural(params.components, log_weights_of(params).ravel(), rows)
                found = log_joints(rows, mixture.family, natural, len(params.weights))
            yield found

    def _shares(self, X: Any) -> Iterator[FloatArray]:
        """Responsibilities (some draws, n, K), draw after draw."""
        return map(_shares, self._log_joints(X))

    def _listed(self, some: slice, origin: FloatArray) -> MixtureParams:
        """Some draws, counted through all chains, as the engine lists them."""
        flat = {name: values.reshape(-1, *values.shape[2:])[some] for name, values in self.parameters.items()}
        listed = {
            of_engine: flat[name][0] if name in self.shared else flat[name].reshape(-1, *flat[name].shape[2:])
            for of_engine, name in self._names.items()
        }
        return MixtureParams(flat["weights"], self.model._moved(self.component_type(**listed), -origin))

    # ------------------------------------------------------------------ labels

    @property
    def _names(self) -> Mapping[str, str]:
        """What the fields of the engine's components are called here."""
        called = self.model._called
        return {field.name: called.get(field.name, field.name) for field in fields(self.component_type)}

    @property
    def _location(self) -> str:
        """The parameters by which components are told apart: means, rates or probabilities."""
        return self._names[fields(self.component_type)[0].name]

    @property
    def switching(self) -> float:
        """The share of draws whose labels differ from the usual ones.

        Each draw's components are matched to those of the likeliest draw by their locations. Where labels
        never switched, all draws are matched in the same order.
        """
        (C, D), K = self.log_likelihood.shape, self.n_components
        x = self.parameters[self._location].reshape(C * D, K, -1)
        scale = x.std(axis=(0, 1))
        x = x / np.where(scale > 0, scale, 1.0)
        best = x[self.log_likelihood.argmax()]
        distance = ((x[:, :, None] - best) ** 2).sum(axis=3)
        _, often = np.unique(_assigned(distance), axis=0, return_counts=True)
        return float(1.0 - often.max() / (C * D))

    def relabelled(self, how: str, X: Any = None, *, by: str | None = None, column: int = 0) -> Draws:
        """The same draws with their components numbered anew.

        Parameters
        ----------
        how : {"order", "stephens"}
            "order" numbers the components of each draw by one parameter, from low to high. It is quick, and cuts
            through components that overlap in that parameter. "stephens" finds the numbering under which
            the draws agree most about which row belongs where.
        X : array (n, d)
            The rows; for "stephens".
        by : str, optional
            The parameter for "order": by default means, rates or probabilities.
        column : int
            Its column.

        Returns
        -------
        Draws

        Raises
        ------
        ValueError
            For an unknown rule, or what it lacks.

        References
        ----------
        Stephens (2000), *JRSS B* 62, algorithm 2: the draws' responsibilities are brought as near as possible, in
        Kullback-Leibler divergence, to their own mean.
        """
        if how == "order":
            order, label = self._order(by or self._location, column), f"by {by or self._location}"
        elif how == "stephens":
            if X is None:
                raise ValueError('relabelled("stephens") needs the rows X, whose responsibilities it compares.')
            best = self.log_likelihood.argmax()
            order = stephens(lambda: self._shares(X), int(best)).reshape(*self.log_likelihood.shape, -1)
            label = "by Stephens' algorithm"
        else:
            raise ValueError(f'how is {how!r}; it must be "order" or "stephens".')
        moved = {name: self._renumbered(name, order) for name in self.parameters}
        return replace(self, parameters=moved, labelling=label)

    def _renumbered(self, name: str, order: NDArray[np.intp]) -> FloatArray:
        return self[name] if name in self.shared else _taken(self[name], order)

    def _order(self, by: str, column: int) -> NDArray[np.intp]:
        if by not in self.parameters or by in self.shared:
            own = ", ".join(name for name in self.parameters if name not in self.shared)
            raise ValueError(f"by is {by!r}; it must be one of {own}.")
        values = self.parameters[by]
        if values.ndim > 3:
            values = values.reshape(*values.shape[:3], -1)
            if not 0 <= column < values.shape[3]:
                raise ValueError(f"column is {column!r}; {by} has the columns 0 to {values.shape[3] - 1}.")
            values = values[..., column]
        return np.asarray(values.argsort(axis=2, kind="stable"), dtype=np.intp)


def stephens(shares: Callable[[], Iterable[FloatArray]], best: int) -> NDArray[np.intp]:
    """Numberings (M, K) of the components of M draws under which their responsibilities agree.

    Each draw is given the numbering whose responsibilities are nearest to the mean of all draws, and
    the mean is taken again, until nothing moves. Each of the two steps lowers the summed Kullback-Leibler divergence
    (eq. 7.11).

    Parameters
    ----------
    shares : callable
        Gives, each time, all responsibilities in pieces (some draws, n, K).
    best : int
        The draw whose numbering is the first guess.

    Returns
    -------
    array (M, K) of int
        Component ``order[m, k]`` of draw m becomes component k.

    Examples
    --------
    >>> one = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> stephens(lambda: [np.stack([one, one[:, ::-1], one])], 0).tolist()
    [[0, 1], [1, 0], [0, 1]]
    """
    mean, seen = None, 0
    for P in shares():
        if seen <= best < seen + len(P):
            mean = P[best - seen]
        seen += len(P)
    assert mean is not None
    order = np.full((seen, mean.shape[1]), -1)
    for _ in range(ROUNDS):
        log_mean, total, found = np.log(np.maximum(mean, UNLIKELY)), np.zeros_like(mean), []
        for P in shares():
            found.append(_assigned(-np.matmul(P.swapaxes(1, 2), log_mean)))
            total += np.take_along_axis(P, found[-1][:, None, :], axis=2).sum(axis=0)
        mean, before, order = total / seen, order, np.concatenate(found)
        if np.array_equal(before, order):
            break
    return order


def _shares(log_joint: FloatArray) -> FloatArray:
    shares = np.exp(log_joint - log_joint.max(axis=2, keepdims=True))
    return np.asarray(shares / shares.sum(axis=2, keepdims=True), dtype=float)


def _assigned(costs: FloatArray) -> NDArray[np.intp]:
    """For costs (M, K, K) of giving component j the number k, the components (M, K) in the cheapest order."""
    return np.array([linear_sum_assignment(cost.T)[1] for cost in costs], dtype=np.intp)


def _taken(values: FloatArray, order: NDArray[np.intp]) -> FloatArray:
    """Values (chains, draws, K, ...) with their components in the order (chains, draws, K)."""
    return np.take_along_axis(values, order.reshape(*order.shape, *[1] * (values.ndim - 3)), axis=2)


def _arviz() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # 0.23 announces 1.0; both are served here
            return importlib.import_module("arviz")
    except ImportError:
        raise ImportError("summaries and plots of draws need ArviZ; install it with: pip install arviz") from None
