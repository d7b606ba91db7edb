"""Haplotypes: which alleles lie together on one chromosome, from genotypes that do not say so."""

from .diplotypes import Diplotypes as Diplotypes
from .diplotypes import enumerate_diplotypes as enumerate_diplotypes
from .estimator import DiplotypePosterior as DiplotypePosterior
from .estimator import HaplotypeEM as HaplotypeEM
from .estimator import Phased as Phased
from .genotypes import Genotypes as Genotypes
from .genotypes import read_genotypes as read_genotypes
from .model import HaplotypeModel as HaplotypeModel
from .model import HaplotypeParams as HaplotypeParams
from .model import HaplotypeStats as HaplotypeStats
from .permutation import PermutationTest as PermutationTest
from .permutation import case_control_test as case_control_test
from .permutation import hardy_weinberg_test as hardy_weinberg_test
from .search import Trimming as Trimming
