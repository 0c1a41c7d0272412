"""Lags by sound: known delays come back, noise is refused, and sound stands in for motion."""

import wave

import numpy as np
import pytest
from clips import write
from scipy.signal import butter, sosfilt
from test_multiview_sync import OWN, camera, still, sync, view

from multiview.sync_sound import delay
from pipeline.sound import read_sound


def room(rate=16000, seconds=8.0, seed=0, shift=0.0, colour=(200, 3000), noise=0.02):
    """Claps and hums of a scene as one microphone hears them from `shift` s on."""
    rng = np.random.default_rng(3)
    times = np.arange(0, seconds, 1 / rate) + shift
    out = np.zeros(len(times))
    for clap in rng.uniform(-3, 12, 25):
        late = times - clap
        out += rng.uniform(0.3, 1) * np.where(
            late > 0, np.exp(-late / 0.03) * np.sin(2 * np.pi * rng.uniform(300, 2500) * late), 0
        )
    own = np.random.default_rng([seed, 1])
    heard = sosfilt(butter(2, colour, "bandpass", fs=rate, output="sos"), out)
    return heard + noise * own.normal(size=len(heard)), float(rate), 0.0


@pytest.mark.parametrize("shift", [0.0, 1.2345, -0.777, 5.01])
def test_a_known_delay_of_other_microphones(shift):
    found = delay(room(), room(22050, 6.0, 1, shift, (150, 4000)))
    assert found is not None and abs(found[0] + shift) < 0.005 and found[1] > 1.5


def test_the_time_of_the_first_sample_counts():
    samples, rate, _ = room(seed=1, shift=0.5)
    found = delay(room(), (samples, rate, 0.25))
    assert found is not None and abs(found[0] - (-0.5 + 0.25)) < 0.005


def test_noise_silence_and_snippets_tell_nothing():
    rng = np.random.default_rng(0)
    hiss = [(rng.normal(size=60000), 16000.0, 0.0) for _ in range(2)]
    assert delay(*hiss) is None
    assert delay(room(), (np.zeros(60000), 16000.0, 0.0)) is None
    assert delay(room(), (np.zeros(0), 16000.0, 0.0)) is None


def test_sound_stands_in_where_nobody_moves_and_is_told_beside_motion():
    frozen = still(view(camera(2.0), OWN))
    sound = [room(), room(seed=1, shift=0.4)]
    clocks = sync(view(camera(0.3), OWN), frozen, sound=sound)
    assert clocks.reliable.all() and clocks.methods[1] == "sound" and abs(clocks.offset_s[1] - 0.4) < 0.01
    both = sync(view(camera(0.3), OWN), view(camera(2.0), OWN, 0.4, seed=1), sound=sound)
    assert both.methods[1] == "two-view geometry" and abs(both.sound_s[1] - 0.4) < 0.01


def test_sound_and_motion_that_contradict_each_other_are_refused():
    views = view(camera(0.3), OWN), view(camera(2.0), OWN, 0.4, seed=1)
    clocks = sync(*views, sound=[room(), room(seed=1, shift=1.4)])
    assert not clocks.reliable[1] and "sound says +1.40 s, motion +0.40 s" in clocks.reasons[1]


def test_reading_the_sound_of_a_file(tmp_path):
    import av

    path = tmp_path / "clap.mkv"
    rate = 44100
    samples = np.zeros(2 * rate)
    samples[rate : rate + 200] = 0.9
    with av.open(str(path), "w") as out:
        film, track = out.add_stream("libx264", rate=30), out.add_stream("pcm_s16le", rate=rate)
        film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        track.layout = "mono"
        for _ in range(60):
            out.mux(film.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="bgr24")))
        out.mux(film.encode(None))
        frame = av.AudioFrame.from_ndarray((samples[None] * 32767).astype(np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    read, given, begin = read_sound(path)
    assert abs((np.argmax(np.abs(read) > 0.4) / given + begin) - 1.0) < 0.01
    assert len(read) == pytest.approx(2 * given, rel=0.02)


def test_files_without_sound(tmp_path, whole):
    assert read_sound(write(tmp_path / "silent.mp4")) is None
    assert read_sound(whole["gif"]) is None
    assert read_sound(tmp_path / "missing.mp4") is None
    with wave.open(str(tmp_path / "only.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(32000))
    assert read_sound(tmp_path / "only.wav") is None
