"""The field's lifting networks in PyTorch, one file each, with the parameter names of the published checkpoints."""
