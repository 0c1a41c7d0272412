"""Films and pictures of what was found."""
