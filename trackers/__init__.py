"""Per-frame people to one 2D track per person. One class a tracker, found by name, imported when it is chosen.

A tracker class has
    name       as in the table
    packages   distributions that it needs beside the base install, and `install`, the line that installs them
    weights    names of weight cards, where it has some
    needs      of "frames" and "poses": what `track` is given beside the detections
    track(detections, times, size, frames=..., poses=...) -> list[Track2D]
`frames` is called as `frames(start, stop)` and yields (H,W,3) uint8 BGR; `poses(frames, boxes) -> list[Detections]`
is the detector's own look into boxes, for a list of pictures and as many (P,4) arrays of boxes in px: in each frame one
pose per box, in their order, unsure where the box shows nobody. It is None where the detector has no such thing.
"""

TRACKERS = {
    "offline": "trackers.offline:OfflineTracker",
    "bytetrack": "trackers.bytetrack:ByteTrack",
    "botsort": "trackers.botsort:BotSort",
    "ocsort": "trackers.ocsort:OCSort",
    "given": "trackers.given:Given",
    "poseflow": "trackers.poseflow:PoseFlow",
    "lighttrack": "trackers.lighttrack:LightTrack",
}
