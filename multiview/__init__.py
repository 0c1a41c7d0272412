"""Several cameras of one scene, known or unknown, still or moving.

Plain arrays go in and come out: V views, T times of the scene's clock, J joints. Of a person's 2D that is
`keypoints` (V,T,J,2) px and `scores` (V,T,J), NaN and 0 where a view does not see a joint; cameras are
`pipeline.results.Camera`, one per view.
"""
