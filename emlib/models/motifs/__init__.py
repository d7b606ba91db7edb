"""Motifs: what many DNA sequences have in common, at places nobody has marked."""

from .model import MotifModel as MotifModel
from .model import MotifParams as MotifParams
from .model import MotifPrior as MotifPrior
from .model import MotifStats as MotifStats
