"""PyTorch networks of the lifters; one file each."""
