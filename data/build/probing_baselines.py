"""How far each probing task can be told without any model: from a bag of words, length, majority."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from data.build import vocabulary
from data.build.probing_balance import Labelled, Split


def baselines(tasks: dict[str, Split]) -> pd.DataFrame:
    """Test accuracy of each baseline, fitted on the training split; one row per task.

    Columns: "chance" (one over the number of classes), "majority", "length" (a forest on the number of words
    and of word pieces), "bag of words" (logistic regression on counts of lower-cased words), "first word"
    (the same on the first word alone), and "sentences".
    """
    return pd.DataFrame({name: _row(split) for name, split in tasks.items()}).T.rename_axis("task")


def _row(split: Split) -> dict[str, float]:
    train, test = split["tr"], split["te"]
    y_train, y_test = ([item.label for item in part] for part in (train, test))
    majority = Counter(y_train).most_common(1)[0][0]
    lengths = RandomForestClassifier(60, min_samples_leaf=5, random_state=0, n_jobs=1)
    lengths.fit(_lengths(train), y_train)
    return {
        "chance": 1 / len(set(y_train)),
        "majority": float(np.mean([y == majority for y in y_test])),
        "length": float(lengths.score(_lengths(test), y_test)),
        "bag of words": _words(train, test, None),
        "first word": _words(train, test, 1),
        "sentences": sum(map(len, split.values())),
    }


def _lengths(items: list[Labelled]) -> np.ndarray:
    return np.array([(len(item.words), vocabulary.count(list(item.words))) for item in items])


def _words(train: list[Labelled], test: list[Labelled], first: int | None) -> float:
    """Accuracy from counts of the first so many words, of all where None."""
    texts = [[" ".join(i.words[:first]) for i in part] for part in (train, test)]
    vectorizer = CountVectorizer(token_pattern=r"\S+").fit(texts[0])
    model = LogisticRegression(max_iter=500).fit(vectorizer.transform(texts[0]), [i.label for i in train])
    return float(model.score(vectorizer.transform(texts[1]), [i.label for i in test]))
