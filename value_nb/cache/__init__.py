"""Results that were computed before, found again by what they depend on.

`store` keeps entries on disk, `keys` says under which name, `remember` is what a function uses.
"""
