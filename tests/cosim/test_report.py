import base64
import html
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from zeroskip.cosim.eie.driver import EieRun
from zeroskip.cosim.eie.queues import HEAT_COLUMNS, bin_levels
from zeroskip.cosim.eie.record import ACTIVITIES
from zeroskip.cosim.eie.report import MEANINGS, layer_figures
from zeroskip.cosim.report.page import write_report
from zeroskip.cosim.verify import Verification
from zeroskip.model.core import Cycles
from zeroskip.model.eie.bundle import EieLayer, EieNetwork, assemble
from zeroskip.model.eie.geometry import EieGeometry

ACCURACY = {"dense": 0.9833, "pruned": 0.9811, "shared": 0.9789, "hardware": 0.9778}


def small_network(pes: int) -> EieNetwork:
    """40 x 3 weights of which one column is kept, two biases; then 2 x 40 of which one weight is kept."""
    geometry = EieGeometry(pes=pes)
    first = np.zeros((40, 4), np.uint8)
    first[:, 1] = 5
    first[[0, 39], 3] = 2
    second = np.zeros((2, 40), np.uint8)
    second[1, 39] = 1
    common = {"input_fraction": 8, "weight_fraction": 6, "output_fraction": 8}
    layers = (
        EieLayer(inputs=3, outputs=40, relu=True, bias=True, **common),
        EieLayer(inputs=40, outputs=2, relu=False, bias=False, **common),
    )
    return assemble(geometry, layers, [first, second], np.zeros((2, geometry.codebook_size), np.int16))


def small_run(pes: int, trace: int = 30) -> EieRun:
    layer_cycles = np.array([[1200, 34], [1300, 35], [1400, 36]])
    activity = np.tile([500, 10, 20, 30, 440], (pes, 1))
    activity[-1] = [250, 125, 0, 125, 500]
    # Of as many cycles as the run has, 3 x 1335.
    activity = activity * 4005 // 1000
    return EieRun(
        values=np.zeros((3, 2), np.int16),
        stage_outputs=(np.zeros((3, 2), np.int16),),
        cycles=Cycles(by_layer=layer_cycles, totals=layer_cycles.sum(axis=1) + 1, images=np.ones(3, np.int64)),
        activity=activity,
        queue_levels=np.random.default_rng(3).integers(0, 9, (trace, pes)).astype(np.uint16),
        layer_trace=np.repeat([0, 1], [trace - trace // 3, trace // 3]).astype(np.uint8),
    )


class Reader(HTMLParser):
    """The text, the tables (rows of cells) and the addresses of a page; fails where tags do not match."""

    VOID = ("meta", "link", "img", "rect")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.rows: list[list[str]] = []
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.text.append(data)
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def small_verification(pes: int, **changes: Any) -> Verification:
    run = small_run(pes)
    network = small_network(pes)
    fields: dict[str, Any] = {
        "core": network.core,
        "network": network,
        "run": run,
        "outputs": run.values / 256,
        "raw": run.values,
        "values": run.values.size,
        "mismatches": 0,
        "cycle_model_equal": True,
        "saturated": {"sums": 0, "outputs": 0},
        "losses": (),
        "waveform": None,
    }
    return Verification(**(fields | changes))


def page(path: Path, pes: int = 8, **changes: object) -> tuple[str, Reader]:
    arguments: dict[str, object] = {
        "title": "Digits",
        "verification": small_verification(pes),
        "accuracy": ACCURACY,
        "facts": {"data set": "digits"},
    }
    write_report(path, **(arguments | changes))  # type: ignore[arg-type]
    text = path.read_text(encoding="utf-8")
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return text, reader


@pytest.mark.parametrize("pes", [1, 2, 8, 64, 256])
def test_each_pe_and_layer_is_there(tmp_path: Path, pes: int) -> None:
    """One row of the table, one title and one bar for each, however many there are."""
    text, reader = page(tmp_path / "report.html", pes)
    shares = {row[0]: row[1:] for row in reader.rows if row}
    for pe in range(pes - 1):
        assert shares[f"PE {pe}"] == ["50.0%", "1.0%", "2.0%", "3.0%", "44.0%"]
        assert f"<title>PE {pe}: busy 50.0%, padding 1.0%, stalled 2.0%" in text
    assert shares[f"PE {pes - 1}"] == ["25.0%", "12.5%", "0.0%", "12.5%", "50.0%"]
    assert len(re.findall(r"<rect ", text)) == 5 * pes - 1
    assert shares["layer 0"][:4] == ["3 x 40", "120", "40", "33.3%"]
    assert shares["layer 1"][:4] == ["40 x 2", "80", "1", "1.2%"]
    assert len(text) < 1_000_000


def test_numbers(tmp_path: Path) -> None:
    """One page: each figure in it beside the one computed by hand."""
    text, reader = page(tmp_path / "report.html", 1)
    rows = {row[0]: row[1:] for row in reader.rows if row}
    # PE 0 holds all rows: two biases with 38 zeros between them take two paddings, the others none.
    assert rows["layer 0"][4:] == ["2", "2", "44", "2 of 15", "1,300.0", "97.4%"]
    assert rows["layer 1"][4:] == ["0", "0", "1", "1 of 15", "35.0", "2.6%"]
    assert ["all", "", "200", "41", "20.5%", "2", "2", "45", "", "1,335.0", "100.0%"] in reader.rows
    assert rows["dense"][:2] == ["98.33%", ""]
    assert rows["pruned"][:2] == ["98.11%", "-0.22"]
    assert rows["shared"][:2] == ["97.89%", "-0.44"]
    assert rows["hardware"][:2] == ["97.78%", "-0.55"]
    assert rows["data set"] == ["digits"]
    # 160 + 80 floats; 6 words of 64 bits; 5 + 41 pointers of 18 bits; 2 x 16 values.
    assert rows["Dense floats"][0] == "960"
    assert rows["Entries (weights and padding)"][0] == "48"
    assert rows["Column pointers"][0] == "103.5"
    assert rows["Codebooks"][0] == "64"
    assert rows["Memory image"] == ["215.5", "100.0%", "22.45%"]
    tiles = dict(re.findall(r'<div class="name">(.*?)</div><div class="figure">(.*?)</div>', text))
    assert tiles == {
        "Images": "3",
        "Mismatches": "0",
        "Mean cycles per image": "1,336.0",
        "Utilisation": "25.0%",
        "Weights kept": "20.5%",
        "Storage ratio": "4.5x",
    }


def test_layer_figures_agree_with_the_entries() -> None:
    network = small_network(4)
    figures = layer_figures(network)
    assert [layer.entries for layer in figures] == [len(network.columns(index).codes) for index in range(2)]
    assert [layer.kept for layer in figures] == [40, 1]
    assert [layer.biases for layer in figures] == [2, 0]


def test_stands_alone(tmp_path: Path) -> None:
    text, reader = page(tmp_path / "report.html")
    assert "http" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert "script" not in reader.tags
    assert all(link.startswith("data:") for link in reader.links)


def test_text_is_escaped(tmp_path: Path) -> None:
    nasty = '<b>"Digits" & $title\'s</b>'
    text, reader = page(
        tmp_path / "report.html",
        title=nasty,
        facts={nasty: nasty},
        accuracy={nasty: 0.5},
    )
    assert nasty not in text
    assert text.count(html.escape(nasty)) >= 5
    assert "".join(reader.text).count(nasty) >= 5


@pytest.mark.parametrize("accuracy", [None, {}])
def test_without_labels_there_is_no_accuracy(tmp_path: Path, accuracy: dict[str, float] | None) -> None:
    text, _ = page(tmp_path / "report.html", accuracy=accuracy)
    assert "Accuracy" not in text


def test_part_of_the_steps_in_the_order_given(tmp_path: Path) -> None:
    _, reader = page(tmp_path / "report.html", accuracy={"hardware": 1.0, "dense": 0.25})
    names = [row[0] for row in reader.rows if row and row[0] in ACCURACY]
    assert names == ["hardware", "dense"]


def test_mismatches_stand_out(tmp_path: Path) -> None:
    assert 'class="tile good"' in page(tmp_path / "good.html")[0]
    assert 'class="tile bad"' in page(tmp_path / "bad.html", verification=small_verification(8, mismatches=7))[0]


def heat_map(text: str) -> np.ndarray:
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', text)
    return np.asarray(imread(io.BytesIO(base64.b64decode(data)), format="png"))


@pytest.mark.parametrize(
    ("trace", "size", "bins"), [(1, 1, 1), (30, 1, 30), (1000, 1, 1000), (1001, 2, 501), (12345, 13, 950)]
)
def test_heat_map_is_binned(tmp_path: Path, trace: int, size: int, bins: int) -> None:
    text, _ = page(tmp_path / "report.html", verification=small_verification(8, run=small_run(8, trace)))
    image = heat_map(text)
    assert image.shape[:2] == (8 * 28, bins * (HEAT_COLUMNS // bins))
    if size == 1:
        assert "Each column of the picture is one cycle." in text
    else:
        assert f"Each column of the picture shows the greatest level in {size} cycles" in text
    # One colour a level: the picture's cells sort like the levels that it shows.
    levels, _ = bin_levels(small_run(8, trace).queue_levels, HEAT_COLUMNS)
    cells = image[::28, :: HEAT_COLUMNS // bins]
    colours = {level: {tuple(colour) for colour in cells[np.equal(levels.T, level)]} for level in range(9)}
    assert all(len(colour) <= 1 for colour in colours.values())
    assert len(set().union(*colours.values())) == len(np.unique(levels))


def test_layer_boundaries_are_marked(tmp_path: Path) -> None:
    text, _ = page(tmp_path / "report.html", verification=small_verification(8, run=small_run(8, 30)))
    assert '<b style="left:66.667%"></b>' in text
    assert 'title="layer 0: cycles 0 to 19">0</span>' in text
    assert 'title="layer 1: cycles 20 to 29">1</span>' in text


def test_bins_hold_the_greatest_level() -> None:
    levels = np.array([[1, 0], [2, 0], [0, 9], [0, 1], [4, 0]], np.uint16)
    binned, size = bin_levels(levels, 3)
    assert size == 2
    assert binned.tolist() == [[2, 0], [0, 9], [4, 0]]
    same, size = bin_levels(levels, 5)
    assert size == 1
    assert np.array_equal(same, levels)


@pytest.mark.parametrize("cycles", range(1, 60, 7))
def test_no_peak_is_lost(cycles: int) -> None:
    levels = np.random.default_rng(cycles).integers(0, 9, (cycles, 3)).astype(np.uint16)
    binned, size = bin_levels(levels, 10)
    assert len(binned) <= 10
    assert len(binned) == -(-cycles // size)
    assert binned.tolist() == [levels[at : at + size].max(axis=0).tolist() for at in range(0, cycles, size)]


def test_same_run_same_bytes(tmp_path: Path) -> None:
    assert page(tmp_path / "a.html")[0] == page(tmp_path / "b.html")[0]


def test_replaces_the_file_whole_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "today" / "report.html"
    page(path)
    before = path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="at least one image"):
        page(path, verification=small_verification(8, outputs=np.zeros((0, 2))))
    assert path.read_text(encoding="utf-8") == before
    page(path, title="Another")
    assert "Another" in path.read_text(encoding="utf-8")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_every_activity_is_explained() -> None:
    assert tuple(MEANINGS) == ACTIVITIES
