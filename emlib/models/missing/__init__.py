"""Tables with holes: what is missing is hidden."""

from .estimator import MissingDataNormal
from .model import HoledNormal

__all__ = ["HoledNormal", "MissingDataNormal"]
