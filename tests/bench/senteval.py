"""SentEval's own protocol for probing tasks, from its description: what classifier probes are compared with.

A linear softmax classifier for each l2 penalty (1e-5 to 1e-2), trained with Adam, batches of 64, by epochs of
four passes; after each the accuracy on validation is asked for, and training ends when it has failed to rise
for the sixth time in all (the count is never set back), or after 200 passes. The best weights count. The
penalty with the best validation accuracy, rounded to two decimals of a per cent, the first of equals, is
trained once more and scored. Features are taken as they are.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

L2 = (1e-5, 1e-4, 1e-3, 1e-2)
SEED, BATCH, EPOCH_SIZE, TENACITY, MAX_EPOCH = 1111, 64, 4, 5, 200

Split = tuple[np.ndarray, np.ndarray]
"""Features `(example, feature)` float32 and labels `(example,)` int64."""


@dataclass
class Patience:
    """When to stop: at the (tenacity + 1)-th check that brings nothing better, since the start."""

    tenacity: int = TENACITY
    best: float = -1.0
    failed: int = 0
    stopped: bool = False
    scores: list[float] = field(default_factory=list)

    def better(self, score: float) -> bool:
        """Take in a score; whether it is the best so far."""
        self.scores.append(score)
        if score > self.best:
            self.best = score
            return True
        self.stopped = self.failed >= self.tenacity
        self.failed += 1
        return False


def train(training: Split, validation: Split, l2: float, classes: int) -> tuple[nn.Linear, float, int]:
    """One classifier: the module with its best weights, validation accuracy, and passes made."""
    generator = np.random.RandomState(SEED)
    torch.manual_seed(SEED)
    x, y = (torch.from_numpy(part) for part in training)
    model = nn.Linear(x.shape[1], classes)
    optimiser = torch.optim.Adam(model.parameters(), weight_decay=l2)
    patience, passes, best = Patience(), 0, copy.deepcopy(model)
    while not patience.stopped and passes <= MAX_EPOCH:
        for _ in range(EPOCH_SIZE):
            order = torch.from_numpy(generator.permutation(len(x)))
            for part in order.split(BATCH):
                optimiser.zero_grad()
                nn.functional.cross_entropy(model(x[part]), y[part]).backward()
                optimiser.step()
        passes += EPOCH_SIZE
        if patience.better(accuracy(model, validation)):
            best = copy.deepcopy(model)
    return best, patience.best, passes


@torch.no_grad()
def right(model: nn.Linear, split: Split) -> np.ndarray:
    """Whether each answer is right, `(example,)` bool."""
    x, y = (torch.from_numpy(part) for part in split)
    return (model(x).argmax(dim=1) == y).numpy()


def accuracy(model: nn.Linear, split: Split) -> float:
    """Share of right answers, 0 to 1."""
    return float(right(model, split).mean())


def score(training: Split, validation: Split, test: Split) -> tuple[np.ndarray, float]:
    """(whether each test answer is right; the penalty of the classifier) of the whole protocol."""
    classes = int(training[1].max()) + 1
    tried = [round(100 * train(training, validation, l2, classes)[1], 2) for l2 in L2]
    l2 = L2[int(np.argmax(tried))]
    return right(train(training, validation, l2, classes)[0], test), l2
