"""Groups of elements, other executions, and the tuner that chooses among them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.voxels import scene
from torch import Tensor, nn

from zeroskip.model.sparseconv import tuner
from zeroskip.model.sparseconv.execution import EXECUTIONS, execution
from zeroskip.model.sparseconv.functional import conv
from zeroskip.model.sparseconv.grouping import Grouping, padding_waste
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.tuner import tune, tuning

HERE = [name for name in EXECUTIONS if name != "triton"]
"""The executions of a CPU."""


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Choices of these tests are nobody else's."""
    monkeypatch.setattr(tuner, "cache_folder", lambda: tmp_path)
    yield tmp_path
    tuner._read.clear()


def layer(dtype: torch.dtype = torch.float64, **arguments: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    coords = scene(generator, [0, 2], [7, 6, 5], 0.4)
    feats = torch.randint(-9, 9, (len(coords), 3), generator=generator).to(dtype)
    weight = torch.randint(-9, 9, (27, 3, 5), generator=generator).to(dtype)
    return conv(SparseTensor(feats, coords), weight, 3, **arguments).feats


@pytest.mark.parametrize("arguments", [{}, {"stride": 2, "padding": 1}, {"dilation": 2}])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.int8])
@pytest.mark.parametrize("name", [*HERE, "adaptive:0.5:20", "adaptive:1:100000", "adaptive:0:0"])
def test_all_executions_are_exact(name: str, dtype: torch.dtype, arguments: dict[str, int]) -> None:
    """Small integers, whose sums no order of additions changes."""
    with execution("reference"):
        wanted = layer(torch.float64, **arguments)
    with execution(name):
        found = layer(dtype, **arguments)
    kind = torch.int32 if dtype is torch.int8 else dtype
    assert torch.equal(found, wanted.to(kind))


SIZES = [10, 40, 12, 30, 100, 30, 12, 41, 10]


def groups(kind: str, symmetric: bool = True, **numbers: float) -> list[tuple[tuple[int, ...], bool]]:
    found = Grouping(kind=kind, **numbers).groups(SIZES, symmetric)  # type: ignore[arg-type]
    return [(group.elements, group.batched) for group in found]


def test_groups_of_a_submanifold_layer() -> None:
    """The centre, 4, is in none. Worked out by hand from the rules."""
    assert groups("separate") == [((one,), False) for one in (0, 8, 1, 7, 2, 6, 3, 5)]
    assert groups("symmetric") == [((0, 8), True), ((1, 7), True), ((2, 6), True), ((3, 5), True)]
    assert groups("fixed") == [((0, 8), True), ((1, 7, 2, 6, 3, 5), True)]
    assert groups("padded") == [((0, 8, 1, 7, 2, 6, 3, 5), True)]


def test_adaptive_groups() -> None:
    """A group ends where 1 - smallest / largest would exceed epsilon; groups of large maps are not batched."""
    assert groups("adaptive", epsilon=0, mm_thresh=100) == [
        ((0, 8), True), ((1,), False), ((7,), False), ((2, 6), True), ((3, 5), True),
    ]  # fmt: skip
    assert groups("adaptive", epsilon=0.1, mm_thresh=35) == [
        ((0, 8), True), ((1, 7), False), ((2, 6), True), ((3, 5), True),
    ]  # fmt: skip
    assert groups("adaptive", epsilon=1, mm_thresh=100) == groups("padded")
    assert groups("adaptive", epsilon=0.8, mm_thresh=0) == [((0, 8, 1, 7, 2, 6, 3, 5), False)]


def test_groups_of_other_layers() -> None:
    """There is no mirror image: the centre is an element as any other."""
    assert groups("symmetric", symmetric=False) == [((one,), False) for one in (0, 8, 1, 7, 2, 6, 3, 5, 4)]
    assert groups("fixed", symmetric=False) == groups("padded", symmetric=False)
    assert Grouping(kind="padded").groups([0, 0, 0], False) == []


def test_padding_waste() -> None:
    """All padded to 41 rows: 8 * 41 rows for 185."""
    assert padding_waste(Grouping(kind="padded").groups(SIZES, True), SIZES) == pytest.approx((8 * 41 - 185) / 185)
    assert padding_waste(Grouping(kind="separate").groups(SIZES, True), SIZES) == 0


@pytest.mark.parametrize("name", ["adaptive:2:10", "adaptive:x:10", "adaptive:0.1:-1", "adaptive:1"])
def test_wrong_numbers_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="execution must be"), execution(name):
        pass


def test_the_fastest_is_chosen_and_kept(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    """Later calls, and other processes, take what was measured, without measuring again."""
    ran: list[str] = []
    convolve = EXECUTIONS["implicit-gemm"].convolve
    monkeypatch.setattr(
        type(EXECUTIONS["implicit-gemm"]), "convolve", lambda _, *of: ran.append("here") or convolve(*of)
    )
    times = {"reference": 2.0, "fused": 3.0, "implicit-gemm": 1.0}
    monkeypatch.setattr(tuner, "measured", lambda *_: times)
    expected = layer()
    assert ran == []
    with tuning():
        assert torch.equal(layer(), expected)
    assert ran == ["here"]
    monkeypatch.setattr(tuner, "measured", lambda *_: pytest.fail("measured again"))
    tuner._read.clear()
    layer()
    with tuning():
        layer()
    assert ran == ["here"] * 3
    # Another type, stride or number of channels is another kind of layer, for which nothing is known.
    layer(torch.float32)
    layer(stride=2)
    assert ran == ["here"] * 3
    (file,) = (own_cache / "sparseconv").glob("choices-*.json")
    assert list(json.loads(file.read_text())["choices"].values()) == ["implicit-gemm"]


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"format": 1, "choices": {"a": "best"}}', '{"format": 9, "choices": {}}']
)
def test_a_damaged_file_of_choices_is_made_anew(content: str) -> None:
    path = tuner.choices_file(torch.device("cpu"))
    path.parent.mkdir(parents=True)
    path.write_text(content)
    expected = layer()
    with tuning(samples=1):
        torch.testing.assert_close(layer(), expected)
    assert len(json.loads(path.read_text())["choices"]) == 1


class Network(nn.Module):
    """One layer, which keeps what it was called with."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(9, 2, 2))
        self.seen: list[tuple[SparseTensor, bool]] = []

    def forward(self, input: SparseTensor) -> SparseTensor:
        self.seen.append((input, self.training))
        return conv(input, self.kernel, 3)


def test_every_execution_is_measured(own_cache: Path) -> None:
    coords = scene(torch.Generator().manual_seed(0), [0], [5, 5], 0.5)
    feats = torch.randn(len(coords), 2)
    network = Network()
    tune(network, [{"input": SparseTensor(feats, coords)}] * 3, n_samples=2, collect_fn=lambda data: data["input"])
    # As torchsparse 2.1 is called: its own arguments, and the entry "input" of each sample.
    tune(network, [{"input": SparseTensor(feats, coords)}], 1, save_dir="there", tune_tag="mine", force_retune=True)
    assert [training for _, training in network.seen] == [False, False, False]
    assert network.training
    assert len(list((own_cache / "sparseconv").glob("choices-*.json"))) == 1
    kmap = network.seen[0][0]._caches.kmaps[((1, 1), (3, 3), (1, 1), (1, 1))][0]
    times = tuner.measured(feats, network.kernel, kmap, tuner.Tuning(samples=1, training=True))
    assert {name.split(":")[0] for name in times} == set(HERE)
