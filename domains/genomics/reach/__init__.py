"""What a substitution reaches: a model's own forward pass, run on the windows that change instead of whole tensors."""
