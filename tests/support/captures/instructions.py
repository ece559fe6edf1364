"""The captured tensor-core instructions: their names in PTX, their registers, and the CUDA kernel that runs one.

`mma` is an instruction of one warp and 16 rows, `wgmma` one of four warps and 64 rows (Hopper). Both have 8 columns
here. Source: PTX ISA 9.1, sections 9.7.14 and 9.7.15.
"""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.model.mma.lanes import SHAPES
from zeroskip.model.mma.numerics import OPERANDS

COLUMNS = 8
_PTX = {"fp16": "f16", "tf32": "tf32", "int8": "s8", "int4": "s4", "fp32": "f32", "int32": "s32", "int32_sat": "s32"}
_WORD = 32
_LANES = 32


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction, m16n8k`k` or m64n8k`k`; `sparse` is "" (dense), "sp" or "sp::ordered_metadata"."""

    family: str
    dtype: str
    out: str
    k: int
    sparse: str

    @property
    def name(self) -> str:
        kind = {"": "dense", "sp": "sp"}.get(self.sparse, "ordered")
        return f"{self.family}_{kind}_k{self.k}_{self.dtype}_{self.out}"

    @property
    def rows(self) -> int:
        return 64 if self.family == "wgmma" else 16

    @property
    def warps(self) -> int:
        return self.rows // 16

    @property
    def kept(self) -> int:
        """Values of a row of A that are multiplied."""
        return self.k // 2 if self.sparse else self.k

    @property
    def bits(self) -> int:
        return OPERANDS[self.dtype].bits

    @property
    def selectors(self) -> int:
        """Selectors that name the lanes with metadata."""
        return SHAPES[self.dtype, self.k].selectors if self.sparse else 1

    @property
    def a_words(self) -> int:
        """32-bit registers of a lane for A."""
        return 16 * self.kept * self.bits // (_WORD * _LANES)

    @property
    def b_words(self) -> int:
        """32-bit registers of a lane for B (mma), or words of B in shared memory for each of 32 (wgmma)."""
        return COLUMNS * self.k * self.bits // (_WORD * _LANES)

    @property
    def c_words(self) -> int:
        return 2 if self.out == "fp16" else 4

    @property
    def ptx(self) -> str:
        dtype, out = (_PTX.get(form, form) for form in (self.dtype, self.out))
        saturate = ".satfinite" if self.out == "int32_sat" else ""
        shape = f"m{self.rows}n{COLUMNS}k{self.k}"
        if self.family == "wgmma":
            return f"wgmma.mma_async{'.sp' if self.sparse else ''}.sync.aligned.{shape}{saturate}.{out}.{dtype}.{dtype}"
        kind = f"::{self.sparse.partition('::')[2]}" if "::" in self.sparse else ""
        sparse = f".sp{kind}" if self.sparse else ""
        return f"mma{sparse}.sync.aligned.{shape}.row.col{saturate}.{out}.{dtype}.{dtype}.{out}"

    def source(self) -> str:
        """CUDA source of `run(a, b, c, e, selectors, d)`: one block an instruction, a register a word."""
        return _mma(self) if self.family == "mma" else _wgmma(self)


def _names(first: int, count: int) -> str:
    return "{" + ", ".join(f"%{first + i}" for i in range(count)) + "}"


_METADATA = ', "r"(e)'


def _operands(constraint: str, array: str, count: int) -> str:
    return ", ".join(f'"{constraint}"({array}[{i}])' for i in range(count))


_HEAD = """
typedef unsigned int u32;
typedef unsigned long long u64;
extern "C" __global__ void run(const u32 *a_, const u32 *b_, const u32 *c_, const u32 *e_, const u32 *sel_, u32 *d_) {
    const int A = $A, B = $B, C = $C;
    u32 thread = blockIdx.x * blockDim.x + threadIdx.x;
    u32 a[A], d[C];
    for (int i = 0; i < A; i++) a[i] = a_[thread * A + i];
    for (int i = 0; i < C; i++) d[i] = c_[thread * C + i];
    u32 e = e_[thread], selector = sel_[blockIdx.x];
"""
_TAIL = """
    for (int i = 0; i < C; i++) d_[thread * C + i] = d[i];
}
"""
_B_IN_REGISTERS = """
    u32 b[B];
    for (int i = 0; i < B; i++) b[i] = b_[thread * B + i];
"""
# Core matrices of 8 columns x 16 bytes, 128 bytes apart, without a swizzle.
_B_IN_SHARED_MEMORY = """
    __shared__ __align__(128) u32 b[B * 32];
    for (int i = threadIdx.x; i < B * 32; i += blockDim.x) b[i] = b_[blockIdx.x * B * 32 + i];
    asm volatile("fence.proxy.async.shared::cta;");
    __syncthreads();
    u64 descriptor = ((u64)__cvta_generic_to_shared(b) & 0x3ffff) >> 4 | (u64)(128 >> 4) << 16 | (u64)(128 >> 4) << 32;
    asm volatile("wgmma.fence.sync.aligned;");
"""
_WAIT = """
    asm volatile("wgmma.commit_group.sync.aligned;");
    asm volatile("wgmma.wait_group.sync.aligned 0;");
"""


def _head(i: Instruction) -> str:
    return _HEAD.replace("$A", str(i.a_words)).replace("$B", str(i.b_words)).replace("$C", str(i.c_words))


def _mma(i: Instruction) -> str:
    a, b, c = i.a_words, i.b_words, i.c_words
    body = _B_IN_REGISTERS
    for selector in range(i.selectors):
        metadata = f", %{2 * c + a + b}, {selector}" if i.sparse else ""
        body += (
            f"    if (selector == {selector})\n"
            f'        asm volatile("{i.ptx} {_names(0, c)}, {_names(c, a)}, {_names(c + a, b)}, '
            f'{_names(c + a + b, c)}{metadata};"\n'
            f"            : {_operands('=r', 'd', c)}\n"
            f"            : {_operands('r', 'a', a)}, {_operands('r', 'b', b)}, {_operands('r', 'd', c)}"
            f"{_METADATA if i.sparse else ''});\n"
        )
    return _head(i) + body + _TAIL


def _wgmma(i: Instruction) -> str:
    a, c = i.a_words, i.c_words
    body = _B_IN_SHARED_MEMORY
    # scale-d (add to D), then the scales of A and B and, for 16 bits, whether B is transposed.
    scales = ", p" + ("" if i.out.startswith("int32") else ", 1, 1") + (", 0" if i.bits == 16 else "")
    for selector in range(i.selectors):
        metadata = f", %{c + a + 1}, {selector}" if i.sparse else ""
        body += (
            f"    if (selector == {selector})\n"
            f'        asm volatile("{{.reg .pred p; setp.eq.u32 p, 0, 0; {i.ptx} {_names(0, c)}, {_names(c, a)}, '
            f'%{c + a}{metadata}{scales};}}"\n'
            f"            : {_operands('+r', 'd', c)}\n"
            f'            : {_operands("r", "a", a)}, "l"(descriptor){_METADATA if i.sparse else ""});\n'
        )
    return _head(i) + body + _WAIT + _TAIL


def _instructions() -> list[Instruction]:
    floats = (
        # (dtype, results, dense k, sparse ks)
        ("fp16", ("fp32", "fp16"), 16, (16, 32)),
        ("bf16", ("fp32",), 16, (16, 32)),
        ("tf32", ("fp32",), 8, (8, 16)),
        ("e4m3", ("fp32", "fp16"), 32, (64,)),
        ("e5m2", ("fp32", "fp16"), 32, (64,)),
        ("int8", ("int32", "int32_sat"), 32, (32, 64)),
        ("int4", ("int32", "int32_sat"), 64, (64, 128)),
    )
    found = []
    for dtype, outs, dense, ks in floats:
        for out in outs:
            found.append(Instruction(family="mma", dtype=dtype, out=out, k=dense, sparse=""))
            found += [
                Instruction(family="mma", dtype=dtype, out=out, k=k, sparse=sparse)
                for k in ks
                for sparse in ("sp", "sp::ordered_metadata")
            ]
            if dtype != "int4":
                found.append(Instruction(family="wgmma", dtype=dtype, out=out, k=dense, sparse=""))
                found.append(Instruction(family="wgmma", dtype=dtype, out=out, k=ks[-1], sparse="sp"))
    return found


INSTRUCTIONS = _instructions()
