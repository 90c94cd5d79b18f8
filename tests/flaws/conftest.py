import pytest


@pytest.fixture
def fresh(tmp_path_factory):
    """A new empty folder at every call: a check runs twice, and a run folder is written once."""
    return lambda: tmp_path_factory.mktemp("flaw")
