"""Random numbers that belong to a name: the same for "17#3" in any batch, order, shard or process.

A shared random generator would hand its numbers out in the order of the data. Here every image or
example has a stream of its own, keyed by a hash of its name, the seed and what the numbers are for.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def raw(name: str, seed: int, n: int, *, purpose: str) -> np.ndarray:
    """`n` random 64-bit integers for a name.

    Parameters
    ----------
    name
        An image or example id.
    seed
        The user's seed.
    n
        How many; the first numbers do not depend on it.
    purpose
        What they are for ("bootstrap", "two-means"): different purposes get independent numbers.

    Returns
    -------
    `(n,)` uint64, from numpy's Philox counter, whose stream is the same in every numpy version.
    """
    import numpy as np

    digest = blake2b(f"{purpose}\0{int(seed)}\0{name}".encode(), digest_size=16).digest()
    return np.random.Philox(key=np.frombuffer(digest, dtype="<u8")).random_raw(n)


def uniforms(name: str, seed: int, n: int, *, purpose: str) -> np.ndarray:
    """`(n,)` float64 uniform on [0, 1) for a name; parameters as in `raw`."""
    return (raw(name, seed, n, purpose=purpose) >> 11) * 2.0**-53
