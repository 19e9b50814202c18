"""How captions put a relation: the verb's forms and the preposition that follows it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verb:
    """Forms of a verb: plural present, third person, past, -ing; `after` is what follows it."""

    base: str
    third: str
    past: str
    ing: str
    after: tuple[str, ...] = ()

    def form(self, tense: str, plural: bool) -> str:
        """Finite form; `tense` is "past" or "present"."""
        return self.past if tense == "past" else self.base if plural else self.third


def _verb(base: str, past: str, ing: str, third: str = "", after: str = "") -> Verb:
    return Verb(base, third or base + "s", past, ing, tuple(after.split()))


VERBS: dict[str, Verb] = {
    "wearing": _verb("wear", "wore", "wearing"),
    "holding": _verb("hold", "held", "holding"),
    "folding": _verb("fold", "folded", "folding"),
    "fixing": _verb("fix", "fixed", "fixing", "fixes"),
    "eating": _verb("eat", "ate", "eating"),
    "drinking from": _verb("drink", "drank", "drinking", after="from"),
    "playing": _verb("play", "played", "playing"),
    "carrying": _verb("carry", "carried", "carrying", "carries"),
    "balancing": _verb("balance", "balanced", "balancing"),
    "riding": _verb("ride", "rode", "riding"),
    "driving": _verb("drive", "drove", "driving"),
    "sitting on": _verb("sit", "sat", "sitting", after="on"),
    "standing on": _verb("stand", "stood", "standing", after="on"),
    "climbing": _verb("climb", "climbed", "climbing"),
    "leaving": _verb("leave", "left", "leaving"),
    "on": _verb("lie", "lay", "lying", after="on"),
    "under": _verb("stay", "stayed", "staying", after="under"),
    "behind": _verb("stand", "stood", "standing", after="behind"),
    "in front of": _verb("stand", "stood", "standing", after="in front of"),
    "next to": _verb("stand", "stood", "standing", after="next to"),
    "touching": _verb("touch", "touched", "touching", "touches"),
    "talking to": _verb("talk", "talked", "talking", after="to"),
    "waving to": _verb("wave", "waved", "waving", after="to"),
    "feeding": _verb("feed", "fed", "feeding"),
    "calling": _verb("call", "called", "calling"),
    "washing": _verb("wash", "washed", "washing", "washes"),
    "waiting for": _verb("wait", "waited", "waiting", after="for"),
    "chasing": _verb("chase", "chased", "chasing"),
    "following": _verb("follow", "followed", "following"),
}
"""Predicate -> verb. "drinking from" is no predicate: it puts "eating" where the object is a cup."""

STAND = _verb("stand", "stood", "standing")
BE = {("present", False): "is", ("present", True): "are", ("past", False): "was", ("past", True): "were"}
