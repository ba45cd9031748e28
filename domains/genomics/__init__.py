"""DNA, RNA and proteins: from a prediction to nucleotides, binding sites, motifs and genes."""
