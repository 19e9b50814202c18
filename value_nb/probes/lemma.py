"""The singular of a noun by rule: what the control tasks of phrases give their labels to."""

from __future__ import annotations

from functools import lru_cache

IRREGULAR = {
    "buses": "bus", "feet": "foot", "geese": "goose", "knives": "knife", "leaves": "leaf", "mice": "mouse",
    "people": "person", "scarves": "scarf", "shelves": "shelf", "teeth": "tooth", "wolves": "wolf",
    "glasses": "glasses", "jeans": "jeans", "pants": "pants", "shorts": "shorts",
}  # fmt: skip
COMPOUNDS = {"men": "man", "women": "woman", "children": "child"}
KEPT = ("ss", "us", "is")
SIBILANTS = ("sses", "xes", "ches", "shes", "zzes")
SHORT = 3  # words up to this length end in s without being plurals ("bus", "gas")


@lru_cache(maxsize=4096)
def lemma(noun: str) -> str:
    """The singular in lower case, by a list of exceptions and the endings of English; no dictionary.

    Examples
    --------
    >>> [lemma(word) for word in ("Dogs", "women", "firemen", "benches", "bodies", "dress", "bus")]
    ['dog', 'woman', 'fireman', 'bench', 'body', 'dress', 'bus']
    """
    word = noun.lower()
    if word in IRREGULAR:
        return IRREGULAR[word]
    for plural, singular in COMPOUNDS.items():
        if word.endswith(plural):
            return word.removesuffix(plural) + singular
    if len(word) <= SHORT or not word.endswith("s") or word.endswith(KEPT):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-2] if word.endswith(SIBILANTS) else word[:-1]
