"""A network as an ONNX file, checked against the network itself. ONNX and ONNX Runtime are optional: `pip install 'fenshen[export]'`."""

from __future__ import annotations

import contextlib
import json
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from fenshen import __version__
from fenshen.errors import FenshenError
from fenshen.exporting.graphs import BATCH, LENGTH, Graph
from fenshen.run import write_atomically

TOLERANCE = 1e-4  # Largest difference of a value that is let through.
ANY_LENGTH = 64  # Tokens read in a check, and when speed is measured, where nothing bounds them.
COUNTS = (1, 2, 7)  # Samples of a check.
SHOWN = 16  # Samples at once when speed is measured.
ROUNDS = 9


@dataclass(frozen=True)
class Speed:
    """Median milliseconds for `count` samples at once (of `length` tokens each) with so many threads, taken in turns."""

    torch_ms: float
    onnx_ms: float
    count: int
    length: int | None
    threads: int


@dataclass(frozen=True)
class Checked:
    """A written graph: the largest difference of a value from the network's own, over several batches and lengths."""

    path: Path
    difference: float
    speed: Speed | None


def write_onnx(graph: Graph, path: Path, measure: bool = False) -> Checked:
    """Writes `path` whole or not at all, after the check. FenshenError where the packages are missing or the outputs differ."""
    try:
        import onnxruntime
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise FenshenError("an ONNX file needs {package}: pip install 'fenshen[export]', or write the weights alone with --to safetensors",
                           package=error.name) from None  # fmt: skip
    content = _exported(graph)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    difference = largest_difference(graph, lambda values: session.run(None, values)[0])
    if not difference <= TOLERANCE:
        raise FenshenError("the exported network differs from the trained one by {difference}, more than {limit}; nothing was written",
                           difference=f"{difference:.2g}", limit=TOLERANCE)  # fmt: skip
    write_atomically(path, content)
    return Checked(path, difference, _speed(graph, lambda values: session.run(None, values)[0]) if measure else None)


def largest_difference(graph: Graph, other: Callable[[dict[str, Any]], np.ndarray]) -> float:
    """Over several batch sizes and lengths, of `other`'s answers from the network's own; infinite where they have another shape."""
    noise, found = torch.Generator().manual_seed(0), 0.0
    lengths = (1, 5, graph.longest or ANY_LENGTH) if graph.reads_words else (0,) * len(COUNTS)
    for count, length in zip(COUNTS, lengths, strict=True):
        values = graph.examples(count, length, noise)
        with torch.no_grad():
            wanted = graph.network(*values).numpy()
        made = other(_named(graph, values))
        found = max(found, float(np.abs(made - wanted).max())) if made.shape == wanted.shape else np.inf
    return found


def _exported(graph: Graph) -> bytes:
    """The bytes of the graph, with `about` in its metadata under `fenshen`."""
    from onnx_ir import Shape

    longest = graph.longest
    free = {BATCH: torch.export.Dim(BATCH), LENGTH: torch.export.Dim(LENGTH, max=longest) if longest else torch.export.Dim(LENGTH)}
    values = graph.examples(3, min(9, longest or 9), torch.Generator().manual_seed(0))
    shapes = tuple({axis: free[name] for axis, name in enumerate(names)} for names in graph.axes)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(graph.network.eval(), values, dynamo=True, dynamic_shapes=shapes, input_names=graph.inputs,
                                    output_names=[graph.output], verbose=False, external_data=False)  # fmt: skip
    assert program is not None
    for node in program.model.graph:  # A recurrent layer's shapes stand there as those of the example.
        for value in node.outputs:
            value.shape = None
    shape = graph.network(*values).shape
    program.model.graph.outputs[0].shape = Shape([*graph.axes[0], *shape[len(graph.axes[0]) :]])
    program.model.metadata_props["fenshen"] = json.dumps({"version": __version__, **graph.about}, ensure_ascii=False)
    return program.model_proto.SerializeToString()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's remarks about itself."""
    log = logging.getLogger("torch.onnx")
    before = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(before)


def _named(graph: Graph, values: tuple[torch.Tensor, ...]) -> dict[str, Any]:
    return {name: value.numpy() for name, value in zip(graph.inputs, values, strict=True)}


def _speed(graph: Graph, other: Callable[[dict[str, Any]], np.ndarray]) -> Speed:
    length = min(graph.longest or ANY_LENGTH, ANY_LENGTH) if graph.reads_words else None
    values = graph.examples(SHOWN, length or 0, torch.Generator().manual_seed(0))
    named = _named(graph, values)
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for place, call in enumerate((lambda: graph.network(*values), lambda: other(named))):
            began = time.perf_counter()
            with torch.no_grad():
                call()
            seconds[place].append(time.perf_counter() - began)
    torch_ms, onnx_ms = (1000 * median(part) for part in seconds)
    return Speed(torch_ms, onnx_ms, SHOWN, length, torch.get_num_threads())
