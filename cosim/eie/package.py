"""The EIE array as a package of Verilog (zeroskip.cosim.package)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.eie.design import player_design
from zeroskip.cosim.eie.memories import network_memories
from zeroskip.cosim.eie.models import run_models
from zeroskip.cosim.eie.program import network_program, stage_program, tables_program
from zeroskip.cosim.package.description import Description, Vectors
from zeroskip.cosim.session import most_cycles
from zeroskip.model.cores import CORES
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.compiler import compile_network, quantise_inputs
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.shared import CODEBOOK_SIZE, SharedLayer
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import Stage
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.eie.array import Array
from zeroskip.rtl.eie.layouts import Activity, LoadTarget, layer_layout, load_layout, monitor_layout

SAMPLE_VALUES, SAMPLE_DENSITY, IMAGES = 48, 0.3, 8
"""Inputs and outputs of the made-up layers, at most, the share of their weights that is not zero, and the images that
run: so many that hardly a weight has no effect on any of them, because an input or a ReLU is zero."""


def describe(geometry: EieGeometry) -> Description:
    """An array of `geometry`."""
    array = Array(geometry)
    return Description(
        core="eie",
        title=CORES["eie"].title,
        prefix="eie",
        component=array,
        geometry=geometry,
        words={"load": load_layout(geometry), "layer": layer_layout(geometry), "monitor": monitor_layout(geometry)},
        enums={"load_target": LoadTarget, "activity": Activity},
        latency={
            "read to result": array.read_latency,
            "start to done": "depends on the data; zeroskip.model.eie.cycles predicts it exactly",
        },
        player=PACKAGE / "cosim/eie/player.v",
        player_top="player",
        instance="    eie_array array (",
        defines={name: int(str(value)) for name, value in player_design(geometry).defines.items()},
        waves={
            "signal": [
                {"name": "clk", "wave": "p..............."},
                {"name": "rst", "wave": "10.............."},
                [
                    "load",
                    {"name": "load__payload", "wave": "xx=.=x..........", "data": ["word", "word"]},
                    {"name": "load__valid", "wave": "0.1..0.........."},
                    {"name": "load__ready", "wave": "x.1...0....1...."},
                ],
                [
                    "run",
                    {"name": "first", "wave": "x....=x.........", "data": ["0"]},
                    {"name": "start", "wave": "0....10........."},
                    {"name": "idle", "wave": "x.1...0....1.0.1"},
                    {"name": "done", "wave": "x.0.......10...."},
                ],
                [
                    "read",
                    {"name": "read__payload", "wave": "x..........=x...", "data": ["0"]},
                    {"name": "read__valid", "wave": "0..........10..."},
                    {"name": "result__payload", "wave": "x.............=x", "data": ["value"]},
                    {"name": "result__valid", "wave": "x.0...........10"},
                ],
            ],
            "head": {"text": "A load, a run (shortened), and a read (shortened)"},
        },
    )


def sample_vectors(geometry: EieGeometry) -> Vectors:
    """Made-up layers (made_up_network)."""
    network, inputs, what = made_up_network(geometry)
    return _vectors(network, inputs, what, contents=False)


def made_up_network(geometry: EieGeometry) -> tuple[EieNetwork, NDArray[np.int16], str]:
    """Two made-up layers, or one where the table holds no more, as large as fits; images; and what they are, in words.

    Raises ValueError where nothing fits.
    """
    most = min(SAMPLE_VALUES, geometry.activations)
    while most:
        try:
            network, inputs = _made_up(geometry, most)
        except ValueError:
            # The memories are too small for so many.
            most //= 2
            continue
        return network, inputs, f"{len(network.layers)} made-up layers of {most} values"
    raise ValueError("entry_words and pointers must hold a column of one value, to run a test bench")


def network_vectors(network: EieNetwork, *, contents: bool) -> Vectors:
    """A compiled network on made-up images. With `contents`, the memories hold the sparse matrices at the start."""
    return _vectors(network, network_inputs(network), f"the network on {IMAGES} made-up images", contents=contents)


def network_inputs(network: EieNetwork) -> NDArray[np.int16]:
    """Made-up images (int16, images x inputs) within the range of the network's samples."""
    rng = np.random.default_rng(0)
    samples = network.samples
    low, high = (-1.0, 1.0) if samples is None else (samples.low, samples.high)
    images = rng.uniform(low, high, (IMAGES, network.inputs)).astype(np.float32)
    # Zeros are what the array skips.
    images[rng.random(images.shape) < 0.5] = 0
    shape = network.sample_shape or (network.inputs,)
    return quantise_inputs(network, images.reshape(IMAGES, *shape), saturate=True)[0]


def _made_up(geometry: EieGeometry, values: int) -> tuple[EieNetwork, NDArray[np.int16]]:
    rng = np.random.default_rng(0)
    codebook = np.concatenate([[0], rng.uniform(-1, 1, CODEBOOK_SIZE - 1)]).astype(np.float32)

    def layer(relu: bool) -> SharedLayer:
        codes = rng.integers(1, CODEBOOK_SIZE, (values, values)).astype(np.uint8)
        codes[rng.random(codes.shape) >= SAMPLE_DENSITY] = 0
        return SharedLayer(codebook=codebook, weight_codes=codes, bias_codes=None, relu=relu)

    layers = [layer(True), layer(False)][-min(2, geometry.layers) :]
    images = rng.uniform(-1, 1, (IMAGES, values)).astype(np.float32)
    images[rng.random(images.shape) < 0.3] = 0
    network = compile_network(layers, images, geometry)
    return network, quantise_inputs(network, images)[0]


def _vectors(network: EieNetwork, inputs: NDArray[np.int16], what: str, *, contents: bool) -> Vectors:
    program = [tables_program(network) if contents else network_program(network)]
    expected: list[str] = []

    def run_stage(stage: Stage, rows: NDArray[np.int16]) -> NDArray[np.int16]:
        models = run_models(network, stage, rows)
        program.extend(stage_program(network, stage, rows, most_cycles(models.cycles)))
        unused = [0] * (network.geometry.layers - len(network.layers))
        for outputs, layers, cycles in zip(
            models.outputs.tolist(), models.layer_cycles.tolist(), models.cycles.tolist(), strict=True
        ):
            expected.append(" ".join(map(str, ["C", cycles, *layers, *unused])))
            expected.append(" ".join(map(str, ["R", *outputs])))
        return models.outputs

    run_stages(
        network.stages,
        inputs,
        run_stage,
        lambda index, given: network.run_host(index, given)[0],
        network.run_cell,
    )
    memories: dict[tuple[str, ...], str] = {}
    if contents:
        for path, words in network_memories(network).items():
            _, _, pe, _, *inside, _ = path.split(".")
            memories[(pe, *inside)] = words
    return Vectors(program=b"".join(program), expected="\n".join([*expected, ""]), what=what, contents=memories)
