"""A library of five standard cells with made-up areas and times, in the Liberty format."""

from __future__ import annotations

import re

BUFFER, INVERTER, NAND, FLIP_FLOP, CLOCK_GATE = 4.0, 2.0, 3.0, 10.0, 7.0
"""Areas."""

BUFFER_NS, INVERTER_NS, NAND_NS, CLOCK_TO_Q_NS, SETUP_NS = 0.15, 0.2, 0.3, 0.5, 0.1

HEAD = """library (made_up) {
  delay_model : table_lookup;
  time_unit : "1ns";
  voltage_unit : "1V";
  current_unit : "1mA";
  pulling_resistance_unit : "1kohm";
  leakage_power_unit : "1nW";
  capacitive_load_unit (1, pf);
  input_threshold_pct_rise : 50; input_threshold_pct_fall : 50;
  output_threshold_pct_rise : 50; output_threshold_pct_fall : 50;
  slew_lower_threshold_pct_rise : 20; slew_lower_threshold_pct_fall : 20;
  slew_upper_threshold_pct_rise : 80; slew_upper_threshold_pct_fall : 80;
"""


def _arc(pin: str, sense: str, **times: float) -> str:
    tables = " ".join(f'{name} (scalar) {{ values ("{time}"); }}' for name, time in times.items())
    return f'timing () {{ related_pin : "{pin}"; {sense} {tables} }}'


def _delay(pin: str, sense: str, ns: float) -> str:
    return _arc(pin, sense, cell_rise=ns, cell_fall=ns, rise_transition=0.01, fall_transition=0.01)


def _gate(name: str, area: float, inputs: str, function: str, sense: str, ns: float) -> str:
    pins = [f"pin ({pin}) {{ direction : input; capacitance : 0.01; }}" for pin in inputs]
    arcs = " ".join(_delay(pin, f"timing_sense : {sense};", ns) for pin in inputs)
    pins.append(f'pin (Y) {{ direction : output; function : "{function}"; {arcs} }}')
    return f"  cell ({name}) {{ area : {area}; {' '.join(pins)} }}\n"


def _flip_flop() -> str:
    setup = _arc("C", "timing_type : setup_rising;", rise_constraint=SETUP_NS, fall_constraint=SETUP_NS)
    clock_to_q = _delay("C", "timing_type : rising_edge;", CLOCK_TO_Q_NS)
    return (
        f'  cell (DFF) {{ area : {FLIP_FLOP}; ff (IQ, IQN) {{ clocked_on : "C"; next_state : "D"; }}\n'
        "    pin (C) { direction : input; clock : true; capacitance : 0.01; }\n"
        f"    pin (D) {{ direction : input; capacitance : 0.01; {setup} }}\n"
        f'    pin (Q) {{ direction : output; function : "IQ"; {clock_to_q} }} }}\n'
    )


BUFFERS = (
    _gate("BUF_BIG", 9.0, "A", "A", "positive_unate", BUFFER_NS),
    _gate("BUF", BUFFER, "A", "(A)", "positive_unate", BUFFER_NS),
)
INVERTER_GATE = _gate("INV", INVERTER, "A", "!A", "negative_unate", INVERTER_NS)
NAND_GATE = _gate("NAND", NAND, "AB", "!(A & B)", "negative_unate", NAND_NS)
FIVE = "".join([HEAD, *BUFFERS, INVERTER_GATE, NAND_GATE, _flip_flop(), "}\n"])
"""Two buffers, an inverter, a NAND of two inputs, and a flip-flop."""


def with_clock_gates(*areas: float) -> str:
    """The same library with gates of a rising clock, ICG_0 and so on."""
    gates = [
        f"  cell (ICG_{index}) {{ area : {area}; dont_use : true;\n"
        '    clock_gating_integrated_cell : "latch_posedge";\n'
        '    statetable ("CK E", "IQ") { table : "L L : - : L , L H : - : H , H - : - : N"; }\n'
        '    pin (IQ) { direction : "internal"; internal_node : "IQ"; }\n'
        "    pin (CK) { direction : input; clock_gate_clock_pin : true; capacitance : 0.01; }\n"
        "    pin (E) { direction : input; clock_gate_enable_pin : true; capacitance : 0.01; }\n"
        '    pin (GCK) { direction : output; clock_gate_out_pin : true; state_function : "CK * IQ"; } }\n'
        for index, area in enumerate(areas)
    ]
    return FIVE.removesuffix("}\n") + "".join(gates) + "}\n"


def in_picoseconds() -> str:
    """The same library in other units: ps and fF."""
    text = FIVE.replace('time_unit : "1ns"', 'time_unit : "1ps"').replace("(1, pf)", "(1, ff)")
    text = text.replace("capacitance : 0.01;", "capacitance : 10;")
    return re.sub(r'values \("([\d.]+)"\)', lambda ns: f'values ("{1000 * float(ns[1])}")', text)
