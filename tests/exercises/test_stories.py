"""The numbers that the stories of the exercises quote, computed."""

import numpy as np

from emlib.course import find


def test_mixtures():
    # A point 13.6 standard deviations out in each of ten dimensions; the smallest number above zero.
    log_density = 10 * (-0.5 * 13.6**2 - 0.5 * np.log(2 * np.pi))
    assert round(log_density / np.log(10)) < -400
    assert f"{np.nextafter(0, 1):.0e}" == "5e-324"
    assert f"{np.log(1e-10):.2f}" == "-23.03"
    # Traces of which the one falls by rounding only and the other falls; and the digit that dances.
    first_fall = find("mixtures.first_fall").reference
    assert first_fall([-1150, -1150.0000001]) == -1
    assert first_fall([-1150, -1150.0001]) == 1
    assert f"{1150.0000001:.11g}" != f"{1150.0000001:.10g}" == "1150"
