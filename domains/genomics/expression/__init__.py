"""Expression: why a model says this about patients, by genes, subnetworks and pathways.

>>> from sciexplain.domains.genomics import expression
>>> table = expression.Expression.of("cohort.tsv", labels="diagnosis")  # doctest: +SKIP
>>> build = lambda part: expression.mlp(part.genes, part.classes)
>>> cv = expression.cross_validate(table, build=build, seeds=(0, 1, 2))  # doctest: +SKIP
>>> expression.rank_genes(cv, permutations=20).to_pandas()  # doctest: +SKIP
"""

from sciexplain.domains.genomics.expression.cross_validation import CrossValidation, Fold, cross_validate
from sciexplain.domains.genomics.expression.draw import draw_subnetwork
from sciexplain.domains.genomics.expression.explain import Standardizer, evidence, explain
from sciexplain.domains.genomics.expression.explanation import ExpressionExplanation
from sciexplain.domains.genomics.expression.frames import read_cls
from sciexplain.domains.genomics.expression.gene_network import GeneNetwork
from sciexplain.domains.genomics.expression.networks import ChebyshevConvolution, GeneGraphCNN, mlp
from sciexplain.domains.genomics.expression.rank import GeneRanking, rank_genes
from sciexplain.domains.genomics.expression.stability import Agreement, Stability, agreement, stability
from sciexplain.domains.genomics.expression.subnetwork import Subnetwork
from sciexplain.domains.genomics.expression.table import Expression
from sciexplain.domains.genomics.expression.train import train

__all__ = [
    "Agreement",
    "ChebyshevConvolution",
    "CrossValidation",
    "Expression",
    "ExpressionExplanation",
    "Fold",
    "GeneGraphCNN",
    "GeneNetwork",
    "GeneRanking",
    "Stability",
    "Standardizer",
    "Subnetwork",
    "agreement",
    "cross_validate",
    "draw_subnetwork",
    "evidence",
    "explain",
    "mlp",
    "rank_genes",
    "read_cls",
    "stability",
    "train",
]
