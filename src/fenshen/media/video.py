"""Frames -> an MP4 (H.264), by PyAV, which is optional: `pip install 'fenshen[video]'`."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from fenshen.errors import FenshenError, OutOfSpaceError, RecipeError


def write_video(frames: Sequence[np.ndarray], path: str | os.PathLike[str], seconds: float, *, stamp: dict[str, str] | None = None) -> Path:
    """Equal-sized uint8 (H, W, 3) frames -> an .mp4 that lasts `seconds`; the stamp is its comment; whole or not at all.

    A side of odd length loses its last line: the format wants even ones. FenshenError where PyAV is missing.
    """
    try:
        import av
    except ImportError:
        raise FenshenError("an .mp4 needs PyAV: pip install 'fenshen[video]', or write a .gif or .webp") from None
    path = Path(path)
    if path.suffix.lower() != ".mp4" or not frames:
        raise RecipeError("cannot write {path}: a video is an .mp4 of at least one frame", path=path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part.mp4")
    height, width = (side // 2 * 2 for side in frames[0].shape[:2])
    try:
        with av.open(str(temporary), "w") as container:
            container.metadata["comment"] = json.dumps(stamp or {})
            stream = container.add_stream("libx264", rate=Fraction(len(frames) / seconds).limit_denominator(1000), options={"crf": "16"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for frame in frames:
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame[:height, :width]), format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        os.replace(temporary, path)
    except av.FFmpegError as error:
        problem = error.strerror or str(error)
        raise OutOfSpaceError("{path} could not be written ({problem}): free some space or name another place", path=path, problem=problem) from None
    finally:
        temporary.unlink(missing_ok=True)
    return path
