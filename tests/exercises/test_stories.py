"""The numbers that the stories of the exercises quote, computed."""

import numpy as np

from emlib import data
from emlib.course import load


def test_mixtures():
    # A point 13.6 standard deviations out in each of ten dimensions; the smallest number above zero.
    log_density = 10 * (-0.5 * 13.6**2 - 0.5 * np.log(2 * np.pi))
    assert round(log_density / np.log(10)) < -400
    assert f"{np.nextafter(0, 1):.0e}" == "5e-324"
    assert f"{np.log(1e-10):.2f}" == "-23.03"


def test_hmm():
    tasks = load("hmm").functions
    shown = {name: (task.example_inputs(), task.expected(task.example_inputs())) for name, task in tasks.items()}

    assert f"{np.exp(shown['log_joint_of_path'][1]):.6f}" == "0.001875"
    assert len(str(2**300)) == 91

    log_alpha, log_likelihood = shown["forward"][1]
    assert len(log_alpha) == 1000
    assert (log_alpha.max(axis=1) >= np.log(np.nextafter(0, 1))).sum() == 439  # then exp gives zero
    assert round(log_likelihood, -1) == -1690
    assert 5 < np.exp(-log_likelihood / 1000) < 6

    counts = data.earthquakes()[:, 0]
    assert (len(counts), counts[23], counts[57]) == (107, 23, 34)
    busy = shown["responsibilities"][1][:, 1]
    assert [f"{busy[year]:.2f}" for year in (23, 57)] == ["0.06", "0.94"]
    high = np.isin(np.arange(1900, 2007), [*range(1905, 1917), *range(1935, 1951), 1957, *range(1968, 1972)])
    half = np.isin(np.arange(1900, 2007), range(1973, 1977))
    assert busy[high].min() > 0.85
    assert busy[half].min() > 0.4
    assert busy[half].max() < 0.6
    assert round(shown["expected_moves"][1].sum(), 6) == 106

    emissionprob = shown["baum_welch_step"][1][2]
    assert emissionprob[:, 5].round(2).tolist() == [0.26, 0.39]
    others = emissionprob[:, :5]
    assert others.min(axis=1).round(2).tolist() == [0.14, 0.11]
    assert others.max(axis=1).round(2).tolist() == [0.16, 0.13]

    inputs, (path, _) = shown["viterbi"]
    assert len(path) == 485
    changes = 100 * (np.flatnonzero(np.diff(path)) + 1)
    assert changes.tolist() == [200, 22500, 31500, 33200, 38400, 46400]
    assert path[0] == 0
    assert np.abs(changes[1:] - [22499, 31224, 33186, 38365, 46493]).max() <= 300  # those of the chapter
    evidence = inputs["log_density"] @ [-1, 1]
    assert (evidence.min().round(), evidence.max().round()) == (-17, 15)
