"""Torch's own randomness — first weights and dropout — drawn from a generator that was passed in.

One thread: two threads sum in another order, and the same seed would no longer give the same numbers.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def torch_seeded_by(rng: np.random.Generator) -> Iterator[None]:
    """Run a block with torch seeded by the next number of `rng`, on one thread; leave torch as it was found."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**63)))
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
