"""The script that packages a core as an IP for Vivado's IP integrator, and the constraints for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zeroskip.cosim.package.interfaces import VENDOR, VERSION, BusInterface
from zeroskip.cosim.package.ipxact import ACCESS, BLOCK, Component
from zeroskip.rtl.bus.register_map import REGISTER_BITS, Field, Kind, RegisterMap

SCRIPT = "vivado/package_ip.tcl"
BUILT = "build/vivado"
"""What the script makes, in the folder of the package."""


def xdc(top: str, period: float) -> str:
    """The constraints of the core alone, out of context."""
    return f"""# {top} synthesised alone, out of context. In a design, its clock comes from there.
create_clock -name clk -period {period} [get_ports clk]
"""


def package_script(described: Component) -> str:
    """The Tcl of a component whose files have the sets "rtl", "constraints" and, maybe, "contents"."""
    top = described.name
    files = {name: [path for path, _ in entries] for name, entries in described.files.items()}
    lines = [
        f"# Packages {top} as an IP for Vivado's IP integrator, into {BUILT}/ip:",
        "#",
        f"#     vivado -mode batch -source {SCRIPT} -tclargs xc7z020clg400-1",
        "#",
        "# The argument is the part of your project: the IP is for its family.",
        'if {$argc != 1} { error "name the part: -tclargs xc7z020clg400-1" }',
        "set part [lindex $argv 0]",
        "set package [file dirname [file dirname [file normalize [info script]]]]",
        f"set build $package/{BUILT}",
        "set ip $build/ip",
        "file delete -force $build",
        "file mkdir $build/sources",
        "",
        *_sources(files),
        "",
        f"create_project -force {top} $build/project -part $part",
        "add_files -norecurse $sources",
        f"set_property top {top} [current_fileset]",
        f"add_files -fileset constrs_1 -norecurse {_placed(files['constraints'])}",
        *(
            f"set_property USED_IN out_of_context [get_files *{path.rpartition('/')[2]}]"
            for path in files["constraints"]
        ),
        "update_compile_order -fileset sources_1",
        "",
        f"ipx::package_project -root_dir $ip -vendor {described.vendor} -library {described.library} "
        "-taxonomy /UserIP -import_files -set_current true",
        "set core [ipx::current_core]",
        *(
            f"set_property {name} {tcl(value)} $core"
            for name, value in (
                ("name", top),
                # Vivado's versions of IPs have two numbers.
                ("version", ".".join(described.version.split(".")[:2])),
                ("display_name", described.title),
                ("description", described.title),
            )
        ),
        "",
        *_interfaces(described.interfaces),
    ]
    if described.registers is not None:
        for interface in described.interfaces:
            if interface.memory_mapped and not interface.drives:
                lines += ["", *_registers(interface.name, described.registers)]
    lines += [
        "",
        "ipx::create_xgui_files $core",
        "ipx::update_checksums $core",
        "ipx::check_integrity $core",
        "ipx::save_core $core",
        "close_project",
        'puts "packaged: add $ip to the IP repositories of your project"',
    ]
    return "\n".join([*lines, ""])


def _sources(files: dict[str, list[str]]) -> Iterator[str]:
    """Fills the list of sources. Vivado looks for a memory's file by its name alone, and knows it by its suffix."""
    yield f"set sources {_placed(files['rtl'])}"
    if "contents" not in files:
        return
    yield from (
        "",
        "# Vivado looks for the contents of a memory by the name of the file alone, and takes files that end in .mem.",
        "set copies [list]",
        "foreach source $sources {",
        "    set file [open $source r]",
        "    set text [read $file]",
        "    close $file",
        "    set copy $build/sources/[file tail $source]",
        "    set file [open $copy w]",
        r'    puts -nonewline $file [regsub -all {"contents/(\w+)\.hex"} $text {"\1.mem"}]',
        "    close $file",
        "    lappend copies $copy",
        "}",
        f"foreach contents {_placed(files['contents'])} {{",
        "    set copy $build/sources/[file rootname [file tail $contents]].mem",
        "    file copy $contents $copy",
        "    lappend copies $copy",
        "}",
        "set sources $copies",
    )


def _placed(paths: Sequence[str]) -> str:
    """A list of files of the package, one in a line."""
    return "[list" + "".join(f" \\\n    $package/{path}" for path in paths) + "]"


def _interfaces(interfaces: Sequence[BusInterface]) -> Iterator[str]:
    """Vivado finds the ports of each bus by their names."""
    buses = [one for one in interfaces if one.library != "signal"]
    signals = [one for one in interfaces if one.library == "signal"]
    for bus in sorted({one.bus for one in buses}):
        yield f"ipx::infer_bus_interfaces {VENDOR}:interface:{bus}_rtl:{VERSION} $core"
    for one in signals:
        yield f"ipx::infer_bus_interface {one.name} {VENDOR}:signal:{one.bus}_rtl:{VERSION} $core"
    for one in buses:
        yield f"ipx::associate_bus_interfaces -busif {one.name} -clock clk $core"
    yield "ipx::associate_bus_interfaces -clock clk -reset rst $core"
    for one in signals:
        # What belongs to the clock has just been said.
        for name, value in one.parameters.items() if one.name != "clk" else ():
            place = f"[ipx::get_bus_interfaces {one.name} -of_objects $core]"
            yield f"set_property value {value} [ipx::add_bus_parameter -quiet {name} {place}]"


def _registers(interface: str, described: RegisterMap) -> Iterator[str]:
    """One range of addresses with the registers in it; the windows are in the data sheet."""
    yield f"set map [ipx::add_memory_map -quiet {interface} $core]"
    yield f"set_property slave_memory_map_ref {interface} [ipx::get_bus_interfaces {interface} -of_objects $core]"
    yield f"set block [ipx::add_address_block -quiet {BLOCK} $map]"
    for name, value in (
        ("base_address", "0"),
        ("range", str(1 << described.address_bits)),
        ("width", str(REGISTER_BITS)),
        ("usage", "register"),
    ):
        yield f"set_property {name} {value} $block"
    for register in described.registers:
        yield f"set register [ipx::add_register {register.name} $block]"
        yield f"set_property description {tcl(register.meaning)} $register"
        yield f"set_property address_offset {register.address:#x} $register"
        yield f"set_property size {REGISTER_BITS} $register"
        for field in register.fields:
            yield from _field(field)


def _field(field: Field) -> Iterator[str]:
    yield f"set field [ipx::add_field {field.name} $register]"
    yield f"set_property description {tcl(field.meaning)} $field"
    yield f"set_property bit_offset {field.low} $field"
    yield f"set_property bit_width {field.width} $field"
    yield f"set_property access {ACCESS[field.kind]} $field"
    if field.kind is Kind.EVENT:
        yield "set_property modified_write_value oneToClear $field"


def tcl(text: str) -> str:
    """A text as one word of Tcl."""
    if any(mark in text for mark in "{}\\"):
        raise ValueError(f"a text in a Tcl script must have no braces and no backslashes, unlike {text!r}")
    return f"{{{text}}}"
