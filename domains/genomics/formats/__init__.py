"""Files of sequences, regions, genes, variants, motifs and relevance: reading and writing."""
