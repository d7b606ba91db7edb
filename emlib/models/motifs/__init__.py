"""Motifs: what many DNA sequences have in common, at places nobody has marked.

`MotifFinder` and `MotifGibbs` find them; `MotifModel` says in one E and one M what they are.
"""

from .finder import MotifFinder as MotifFinder
from .finder import MotifGibbs as MotifGibbs
from .formats import read_jaspar as read_jaspar
from .formats import read_meme as read_meme
from .formats import to_bed as to_bed
from .formats import to_jaspar as to_jaspar
from .formats import to_meme as to_meme
from .model import MotifModel as MotifModel
from .model import MotifParams as MotifParams
from .model import MotifPrior as MotifPrior
from .model import MotifStats as MotifStats
from .motif import Motif as Motif
from .motif import Site as Site
from .motif import similarity as similarity
from .sequences import Background as Background
from .sequences import DNASequences as DNASequences
