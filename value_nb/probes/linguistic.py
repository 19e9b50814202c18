"""Linguistic knowledge: which class of a probing task can be read off a sentence (VALUE, text-to-text)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from value_nb import stats
from value_nb.probes.classifier import ClassifierProbe
from value_nb.probes.content_words import final_content_word
from value_nb.probes.features import row_id
from value_nb.probes.head_statistics import HeadStatistics
from value_nb.probes.items import Item
from value_nb.probes.report import NOWHERE, Row, not_defined
from value_nb.probes.spans import CLS, words
from value_nb.probes.trained_length import BEYOND
from value_nb.probes.views import States, View

if TYPE_CHECKING:
    from value_nb.data.example import Example
    from value_nb.layout import LayerBatch, Layout

SHORTEST = 3  # [CLS], a piece, [SEP]


class LinguisticProbe(ClassifierProbe):
    """Linear classifiers on one of SentEval's probing tasks: what a layer knows of a sentence.

    One task at a time, its three splits together: `sweep(model, load_splits("mini-senteval/tree_depth"),
    [LinguisticProbe()])`; `value_nb.probe_linguistics(model)` runs all nine, without a picture, and is the
    only way for a two-stream model. Measures are those of `ClassifierProbe`; `group` says of what:

    [CLS], mean
        State of [CLS]; mean of the states of the words (over the pieces of a word, then over words). Every
        layer of every stack that has text.
    heads
        The attention variant: `HeadStatistics` of all heads of all layers, one classifier.
    bag of words, length
        Baselines without a model: counts of lower-cased words; the number of words.

    The control task gives its random labels to the last content word. Mismatched pairs: the sentence stays;
    sentences without a picture have nothing to swap, which the result says (`controls_left_out`).

    Two measures more, where the trained length is known:

    beyond_trained_length
        Share of the test sentences that are longer than the model was trained with.
    accuracy_beyond_trained_length
        Accuracy on these; no other accuracy counts them. Absent where there are none.

    Parameters
    ----------
    trained_length
        Positions of the longest sentence in pre-training, [CLS] and [SEP] included; None: not known, and
        nothing is flagged.
    settings
        `description_length`, `grid`, `limit`, `dtype`, `n_jobs`: see `ClassifierProbe`.
    """

    name = "linguistic_probe"
    title = "Linguistic knowledge"
    question = "Which class of a probing task can be read off the states, or the attention, of a sentence?"
    counts: ClassVar[dict[str, str]] = {"": "sentences"}

    def __init__(self, trained_length: int | None = None, **settings: Any) -> None:
        if trained_length is not None and trained_length < SHORTEST:
            raise ValueError(
                f"trained_length is {trained_length}; expected None or at least {SHORTEST} positions: [CLS], "
                "one piece, [SEP]"
            )
        self.trained_length = None if trained_length is None else int(trained_length)
        super().__init__(**settings)

    def items(self, example: Example) -> list[Item]:
        """One for each sentence.

        Raises
        ------
        ValueError
            For an example without a class.
        """
        if example.label is None:
            raise ValueError(
                f"example {example.id!r} of {example.dataset!r} has no label; expected a sentence of a "
                "probing task, for instance of value_nb.load_splits('mini-senteval/tree_depth')"
            )
        bag = Counter(word.lower() for word in example.words)
        return [
            Item(
                name=example.id,
                label=example.label,
                spans={"[CLS]": CLS, "words": words(range(len(example.words)))},
                type=final_content_word(example.words),
                known={"bag of words": dict(bag), "length": {str(len(example.words)): 1.0}},
            )
        ]

    def views(self) -> Sequence[View]:
        """Both poolings of the states, and the statistics of heads."""
        return [
            States({"[CLS]": "text"}, name="[CLS]"),
            States({"words": "text"}, name="mean"),
            HeadStatistics({"words": "text"}),
        ]

    def baselines(self) -> Mapping[str, Sequence[str]]:
        """What is known of a sentence without a model."""
        return {"bag of words": ["bag of words"], "length": ["length"]}

    def update(self, batch: LayerBatch) -> None:
        """Take features of the batch's sentences from one layer."""
        if self._current is None or self._current.layout is not batch.layout:
            self._measure(batch.layout)
        super().update(batch)

    def _measure(self, layout: Layout) -> None:
        """Keep of each sentence how many positions it takes, and of which task it is."""
        for example, tokens in zip(layout.examples, layout.streams["text"].tokens, strict=True):
            self._positions[row_id(example.id)] = len(tokens)
            self._tasks.add(example.dataset)

    def _rows(self, replicates: int) -> Iterator[Row]:
        if len(self._tasks) > 1:
            raise ValueError(
                f"sentences of {len(self._tasks)} tasks came ({', '.join(sorted(self._tasks))}); sweep over "
                "one at a time, or call value_nb.probe_linguistics(model)"
            )
        for number in self._longer():
            self._table.set_apart(number, BEYOND)
        yield from super()._rows(replicates)
        yield self._beyond_row(replicates)

    def _longer(self) -> list[int]:
        """Ids of the sentences beyond the trained length; none where that is not known."""
        limit = self.trained_length
        return [] if limit is None else [n for n, length in self._positions.items() if length > limit]

    def _beyond_row(self, replicates: int) -> Row:
        """How many test sentences are longer than the trained length."""
        place = {"stack": NOWHERE[0], "layer": NOWHERE[1], "split": "test"}
        if self.trained_length is None:
            return place | not_defined(BEYOND, "the trained length of this model is not known")
        task = self._table.task(self._table.ids)
        longer, images = task.scored("test", BEYOND), task.images[task.rows("test")]
        found = stats.mean_interval(longer, images, seed=self.seed, replicates=replicates)
        return place | {
            "measure": BEYOND, "value": float(found.value), "lo": float(found.lo), "hi": float(found.hi),
            "n": len(images), "n_images": int(found.n_images), "unit": "fraction",
        }  # fmt: skip

    def _start(self) -> None:
        super()._start()
        self._positions: dict[int, int] = {}
        self._tasks: set[str] = set()

    def state(self) -> dict[str, Any]:
        """Also the places and the tasks."""
        return {**super().state(), "_positions": self._positions, "_tasks": self._tasks}

    def _absorb(self, other: LinguisticProbe) -> None:
        super()._absorb(other)
        self._positions.update(other._positions)
        self._tasks |= other._tasks
