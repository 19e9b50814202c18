"""The last word of a sentence that carries content: what the control task of a text probe is given to."""

from __future__ import annotations

from collections.abc import Sequence

FUNCTION_WORDS = frozenset(
    """
    a an the this that these those some any no every each either neither both all half such what which whose
    i me my mine myself you your yours yourself yourselves he him his himself she her hers herself it its
    itself we us our ours ourselves they them their theirs themselves who whom one ones another other others
    someone somebody something anyone anybody anything everyone everybody everything nobody nothing none
    and or but nor so yet for if because although though while when whenever whether unless until since
    than as like of in on at by to from with without into onto over under up down out off about above below
    across after against along among around before behind beneath beside besides between beyond during
    except inside near next outside past through throughout toward towards underneath upon via within
    am is are was were be been being do does did doing done have has had having will would shall should
    can could may might must ought not n't 'nt 's 're 've 'll 'd 'm s t
    there here then now too also very just only even still again ever never where how why
    """.split()
)
"""Words of English's closed classes, lower-cased: determiners, pronouns, conjunctions, prepositions,
auxiliaries, negation, and adverbs that stand for a place, a time or a degree."""


def final_content_word(words: Sequence[str]) -> str:
    """The last word with a letter or digit in it that is no function word, lower-cased.

    "A dog stands behind a cook who rides it ." gives "rides". A sentence of function words alone gives its
    last word, lower-cased; no words at all give "".

    Parameters
    ----------
    words
        Of one sentence, in order.
    """
    lowered = [word.lower() for word in words]
    content = [w for w in lowered if w not in FUNCTION_WORDS and any(map(str.isalnum, w))]
    return next(reversed(content or lowered), "")
