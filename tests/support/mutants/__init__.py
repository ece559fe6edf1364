"""A mutation tester: plants small faults in `model/`, one at a time, and shows which of them no test notices.

`make mutants` runs it. What tests let pass is a weak test, or a mutant that changes nothing: `equivalent.toml` lists
those with the reason.
"""
