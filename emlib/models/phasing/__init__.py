"""Phasing: which alleles lie on one chromosome, along a region.

`Phaser` does it; `ClusterModel` is its first stage, in one E and one M; `switch_errors` compares two phasings.
"""

from .cluster import ClusterModel as ClusterModel
from .cluster import ClusterParams as ClusterParams
from .cluster import ClusterPrior as ClusterPrior
from .cluster import ClusterStats as ClusterStats
from .copying import Copying as Copying
from .phaser import Phaser as Phaser
from .vote import Votes as Votes
from .vote import switch_errors as switch_errors
