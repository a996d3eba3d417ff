import difflib

from tests.stubs import STUB, generate


def test_the_stub_in_git_is_that_of_the_compiled_module():
    old, new = STUB.read_text().splitlines(), generate().splitlines()
    drift = "\n".join(difflib.unified_diff(old, new, "in git", "compiled", lineterm=""))
    assert not drift, f"run `make stubs`\n{drift}"
