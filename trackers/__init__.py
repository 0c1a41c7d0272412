"""Per-frame people to one 2D track per person. One class a tracker, found by name, imported when it is chosen.

A tracker has `name` and `track(detections, times, size) -> list[Track2D]`.
"""

TRACKERS = {"offline": "trackers.offline:OfflineTracker"}
