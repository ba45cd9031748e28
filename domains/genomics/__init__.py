"""DNA, RNA and proteins: from a prediction to nucleotides, binding sites, motifs and genes.

>>> from sciexplain.domains import genomics
>>> records = list(genomics.read("peaks.bed", genome=genomics.Genome("hg38.fa"), length=1000))  # doctest: +SKIP
>>> g = genomics.explain(model, records, strand="both")  # doctest: +SKIP
>>> sites = genomics.call_sites(g, fdr=0.05)  # doctest: +SKIP
>>> motifs = genomics.discover_motifs(g)  # doctest: +SKIP
>>> genomics.match_motifs(motifs, "jaspar.meme")  # doctest: +SKIP
>>> genomics.link_genes(sites, "genes.gff3")  # doctest: +SKIP
"""

from sciexplain.domains.genomics import design, evaluate, expression
from sciexplain.domains.genomics.alphabet import DNA, PROTEIN, RNA, Alphabet, alphabet_of
from sciexplain.domains.genomics.annotation import Annotation, read_genes
from sciexplain.domains.genomics.audit import audit
from sciexplain.domains.genomics.concepts import SequenceConcepts, top_concepts
from sciexplain.domains.genomics.design import counterfactual, draw_designs, known_sites, maximize, shared_site
from sciexplain.domains.genomics.drawing.logo import draw_logo
from sciexplain.domains.genomics.drawing.page import write_page
from sciexplain.domains.genomics.drawing.tracks import draw_tracks
from sciexplain.domains.genomics.encode import decode, encode, reverse_complement, soft_mask
from sciexplain.domains.genomics.enrichment import Enrichment, enrich, read_gmt
from sciexplain.domains.genomics.experiments import ablate, insert, marginalize, spacing
from sciexplain.domains.genomics.explain import ask, explain
from sciexplain.domains.genomics.explanation import SequenceExplanation, joined
from sciexplain.domains.genomics.formats.attempts import Bookmarks
from sciexplain.domains.genomics.formats.meme import read_motifs, write_meme
from sciexplain.domains.genomics.formats.modisco_files import read_modisco_results, write_modisco_h5, write_modisco_npz
from sciexplain.domains.genomics.formats.vcf import Variant, read_vcf
from sciexplain.domains.genomics.genes import GeneTable, link_genes
from sciexplain.domains.genomics.genome import Genome
from sciexplain.domains.genomics.heads import counts, profile
from sciexplain.domains.genomics.hits import scan_hits
from sciexplain.domains.genomics.interval import Interval
from sciexplain.domains.genomics.lengths import length_of
from sciexplain.domains.genomics.match import match_motifs
from sciexplain.domains.genomics.models import layout_of
from sciexplain.domains.genomics.motif import Motif
from sciexplain.domains.genomics.motifs import Motifs, discover_motifs
from sciexplain.domains.genomics.mutagenesis import mutagenesis
from sciexplain.domains.genomics.prototypes import limits_figure, prototype_limits, prototypes
from sciexplain.domains.genomics.read import attempts, count, read
from sciexplain.domains.genomics.removal import NucleotideRemoval
from sciexplain.domains.genomics.sequences import Record, Sequences
from sciexplain.domains.genomics.shuffle import shuffle_dinucleotides
from sciexplain.domains.genomics.sites import Site, Sites, call_sites
from sciexplain.domains.genomics.tokens import KmerTokenizer, Tokens
from sciexplain.domains.genomics.variants import VariantEffect, VariantEffects, variant_effects

__all__ = [
    "DNA",
    "PROTEIN",
    "RNA",
    "Alphabet",
    "Annotation",
    "Bookmarks",
    "Enrichment",
    "GeneTable",
    "Genome",
    "Interval",
    "KmerTokenizer",
    "Motif",
    "Motifs",
    "NucleotideRemoval",
    "Record",
    "SequenceConcepts",
    "SequenceExplanation",
    "Sequences",
    "Site",
    "Sites",
    "Tokens",
    "Variant",
    "VariantEffect",
    "VariantEffects",
    "ablate",
    "alphabet_of",
    "ask",
    "attempts",
    "audit",
    "call_sites",
    "count",
    "counterfactual",
    "counts",
    "decode",
    "design",
    "discover_motifs",
    "draw_designs",
    "draw_logo",
    "draw_tracks",
    "encode",
    "enrich",
    "evaluate",
    "explain",
    "expression",
    "insert",
    "joined",
    "known_sites",
    "layout_of",
    "length_of",
    "limits_figure",
    "link_genes",
    "marginalize",
    "match_motifs",
    "maximize",
    "mutagenesis",
    "profile",
    "prototype_limits",
    "prototypes",
    "read",
    "read_genes",
    "read_gmt",
    "read_modisco_results",
    "read_motifs",
    "read_vcf",
    "reverse_complement",
    "scan_hits",
    "shared_site",
    "shuffle_dinucleotides",
    "soft_mask",
    "spacing",
    "top_concepts",
    "variant_effects",
    "write_meme",
    "write_modisco_h5",
    "write_modisco_npz",
    "write_page",
]
