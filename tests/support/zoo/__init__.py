"""Networks as other people write them, small: each has the structure and the idioms of a public source, which it names,
and is written anew."""

from __future__ import annotations

from support.zoo.entry import Entry
from support.zoo.gates import GATES
from support.zoo.images import IMAGES
from support.zoo.mobile import MOBILE
from support.zoo.pictures import PICTURES
from support.zoo.recurrent import RECURRENT
from support.zoo.residual import RESIDUAL
from support.zoo.sequences import SEQUENCES
from support.zoo.tokens import TOKENS
from support.zoo.values import VALUES

ZOO: tuple[Entry, ...] = (*IMAGES, *RESIDUAL, *MOBILE, *PICTURES, *SEQUENCES, *RECURRENT, *TOKENS, *GATES, *VALUES)
