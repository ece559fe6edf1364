"""The netlist of ECP5 cells does what the golden model says, in the cycles of the cycle model."""

from __future__ import annotations

import numpy as np
import pytest
from support.networks import random_inputs, random_network

from zeroskip.cosim.eie.driver import EieDriver
from zeroskip.cosim.session import Session
from zeroskip.fpga.netlist.design import netlist_design
from zeroskip.model.eie import golden
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.lay_out import relaid

IMAGES = 20


@pytest.mark.slow
@pytest.mark.parametrize(("pes", "widest"), [(1, 100), (2, 60)])
def test_netlist_equals_the_golden_model(pes: int, widest: int) -> None:
    """Words and pointers in block RAM whose collisions give random data, loaded through the ports; activation files of
    128 rows there too, those of 32 in LUT RAM, as on a board."""
    rng = np.random.default_rng(7)
    network = relaid(random_network(rng, EieGeometry(pes=4), (widest, 40, 9), 0.3), pes)
    inputs = random_inputs(rng, IMAGES, widest, [0.6])
    driver = EieDriver()
    with Session(netlist_design(network.geometry), setup=driver.setup(network, "ports"), files=driver.files) as session:
        (stage,) = network.stages
        run = driver.run_stage(session, network, stage, inputs, lambda done: None)
    assert np.array_equal(run.outputs[:, network.order], golden.outputs(network, inputs))
    assert (run.mismatches, run.cycle_model_equal) == (0, True)
