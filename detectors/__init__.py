"""Image to people with 2D keypoints."""
