"""How far a training is: a bar on a terminal, a line every 50 steps elsewhere and beside other trainings."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from multiprocessing import parent_process

from tqdm import tqdm

EVERY = 50


class Reporter:
    """Tells of steps as they are done. `first` is the number of steps that were done before."""

    def __init__(self, name: str, steps: int, first: int) -> None:
        self.name, self.steps, self.first = name, steps, first
        self.start = time.perf_counter()
        alone = parent_process() is None and sys.stderr.isatty()
        self.bar = tqdm(total=steps, initial=first, desc=name, unit="step") if alone else None

    def step(self, done: int, losses: Mapping[str, float]) -> None:
        """Tell that `done` steps are done, with the losses of the last ones."""
        parts = "  ".join(f"{k} {v:.3f}" for k, v in losses.items())
        if self.bar is not None:
            self.bar.update(done - self.bar.n)
            self.bar.set_postfix_str(parts, refresh=False)
        elif done % EVERY == 0 or done == self.steps:
            rate = (done - self.first) / max(1e-9, time.perf_counter() - self.start)
            left = (self.steps - done) / max(1e-9, rate)
            self.say(
                f"{self.name} {done}/{self.steps}  {parts}  {rate:.2f} steps/s  {left / 60:.1f} min left"
            )

    def say(self, text: str) -> None:
        """Print a line beside the bar."""
        if self.bar is not None:
            self.bar.write(text)
        else:
            print(text, flush=True)

    def close(self) -> None:
        """End the bar."""
        if self.bar is not None:
            self.bar.close()
