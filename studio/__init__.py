"""Synthetic actors and cameras: videos and keypoints with exact 3D truth."""
