"""emlib: the EM algorithm for computational biology, one E and one M at a time.

Every algorithm here is a choice of E (soft, hard, sampled, tempered) and a choice of M
(maximise, maximise with a prior, draw) over additive sufficient statistics. `emlib.engine` runs
them, `emlib.models` are the hidden worlds, `emlib.data` are real data sets that come along.

>>> import emlib
>>> mixture = emlib.GaussianMixture(2, random_state=0).fit(emlib.data.old_faithful())
>>> mixture.means_.round(1).tolist()
[[2.0, 54.5], [4.3, 80.0]]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Where each public name lives. Rooms are opened when first asked for, so that `import emlib` is light.
_HOMES = {
    "GaussianMixture": "emlib.models.mixtures",
    "PoissonMixture": "emlib.models.count_mixtures",
    "NegativeBinomialMixture": "emlib.models.negative_binomial",
    "BinomialMixture": "emlib.models.count_mixtures",
    "BernoulliMixture": "emlib.models.count_mixtures",
    "MultinomialMixture": "emlib.models.count_mixtures",
    "GaussianHMM": "emlib.models.hmm",
    "PoissonHMM": "emlib.models.hmm",
    "CategoricalHMM": "emlib.models.hmm",
    "HaplotypeEM": "emlib.models.haplotypes",
    "KMeans": "emlib.models.kmeans",
    "GeneCounting": "emlib.models.gene_counting",
    "genotype_log_likelihoods": "emlib.models.gene_counting",
    "DawidSkene": "emlib.models.annotators",
    "ProteinInference": "emlib.models.peptides",
    "ScoreMixture": "emlib.models.peptides",
    "DoubletMixture": "emlib.models.doublets",
    "MLEM": "emlib.models.tomography",
    "MissingDataNormal": "emlib.models.missing",
    "RobustRegression": "emlib.models.robust",
    "MotifFinder": "emlib.models.motifs",
    "MotifGibbs": "emlib.models.motifs",
    "TranscriptQuantifier": "emlib.models.transcripts",
    "Phaser": "emlib.models.phasing",
    "decision_boundary": "emlib.models.boundary",
    "GibbsSampler": "emlib.models.gibbs",
    "select_n_components": "emlib.models.selection",
    "standard_errors": "emlib.models.uncertainty",
    "bootstrap": "emlib.models.bootstraps",
    "bootstrap_n_components": "emlib.models.bootstraps",
    "linkage_disequilibrium": "emlib.models.linkage_disequilibrium",
    "case_control_test": "emlib.models.haplotypes",
    "hardy_weinberg_test": "emlib.models.haplotypes",
    "read_variants": "emlib.models.variants",
    "check_model": "emlib.engine.check",
}
_ROOMS = ("data", "engine", "models")

__all__ = [*_HOMES, *_ROOMS]

if TYPE_CHECKING:
    from . import data as data
    from . import engine as engine
    from . import models as models
    from .engine.check import check_model as check_model
    from .models.annotators import DawidSkene as DawidSkene
    from .models.bootstraps import bootstrap as bootstrap
    from .models.bootstraps import bootstrap_n_components as bootstrap_n_components
    from .models.boundary import decision_boundary as decision_boundary
    from .models.count_mixtures import BernoulliMixture as BernoulliMixture
    from .models.count_mixtures import BinomialMixture as BinomialMixture
    from .models.count_mixtures import MultinomialMixture as MultinomialMixture
    from .models.count_mixtures import PoissonMixture as PoissonMixture
    from .models.doublets import DoubletMixture as DoubletMixture
    from .models.gene_counting import GeneCounting as GeneCounting
    from .models.gene_counting import genotype_log_likelihoods as genotype_log_likelihoods
    from .models.gibbs import GibbsSampler as GibbsSampler
    from .models.haplotypes import HaplotypeEM as HaplotypeEM
    from .models.haplotypes import case_control_test as case_control_test
    from .models.haplotypes import hardy_weinberg_test as hardy_weinberg_test
    from .models.hmm import CategoricalHMM as CategoricalHMM
    from .models.hmm import GaussianHMM as GaussianHMM
    from .models.hmm import PoissonHMM as PoissonHMM
    from .models.kmeans import KMeans as KMeans
    from .models.linkage_disequilibrium import linkage_disequilibrium as linkage_disequilibrium
    from .models.missing import MissingDataNormal as MissingDataNormal
    from .models.mixtures import GaussianMixture as GaussianMixture
    from .models.motifs import MotifFinder as MotifFinder
    from .models.motifs import MotifGibbs as MotifGibbs
    from .models.negative_binomial import NegativeBinomialMixture as NegativeBinomialMixture
    from .models.peptides import ProteinInference as ProteinInference
    from .models.peptides import ScoreMixture as ScoreMixture
    from .models.phasing import Phaser as Phaser
    from .models.robust import RobustRegression as RobustRegression
    from .models.selection import select_n_components as select_n_components
    from .models.tomography import MLEM as MLEM
    from .models.transcripts import TranscriptQuantifier as TranscriptQuantifier
    from .models.uncertainty import standard_errors as standard_errors
    from .models.variants import read_variants as read_variants


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    if name in _ROOMS:
        return importlib.import_module(f"emlib.{name}")
    raise AttributeError(f"module 'emlib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
