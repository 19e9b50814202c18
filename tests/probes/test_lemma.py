from value_nb.probes.lemma import lemma


def test_plurals_become_singular():
    pairs = {
        "dogs": "dog", "Women": "woman", "firemen": "fireman", "children": "child", "benches": "bench",
        "boxes": "box", "dresses": "dress", "bodies": "body", "horses": "horse", "houses": "house",
        "buses": "bus", "people": "person", "bushes": "bush", "scarves": "scarf",
    }  # fmt: skip
    assert {word: lemma(word) for word in pairs} == pairs


def test_singulars_stay():
    words = ("dress", "bus", "gas", "glasses", "man", "tennis", "jeans", "house", "cactus")
    assert [lemma(word) for word in words] == list(words)
