"""Transcripts, and from which of them a fragment of RNA came.

`TranscriptQuantifier` shares fragments out; `TranscriptModel` says in one E and one M how. Classes come from
`read_classes` (salmon, kallisto) or from reads (`pseudoalign`).
"""

from .classes import EquivalenceClasses as EquivalenceClasses
from .identifiability import Identifiability as Identifiability
from .identifiability import identifiability as identifiability
from .identifiability import slack as slack
from .kmers import KmerIndex as KmerIndex
from .kmers import Pseudoalignment as Pseudoalignment
from .kmers import pseudoalign as pseudoalign
from .lengths import FragmentLengths as FragmentLengths
from .model import TranscriptModel as TranscriptModel
from .model import TranscriptParams as TranscriptParams
from .model import TranscriptStats as TranscriptStats
from .model import gap as gap
from .quantifier import TranscriptBootstrap as TranscriptBootstrap
from .quantifier import TranscriptQuantifier as TranscriptQuantifier
from .quantifier import tpm as tpm
from .reading import read_classes as read_classes
from .reading import read_kallisto as read_kallisto
from .reading import read_lengths as read_lengths
from .reading import read_salmon as read_salmon
