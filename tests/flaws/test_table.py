"""The table of flaws is whole, and what it names as proof is one."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TABLE = (HERE / "README.md").read_text()
ROWS = {
    cells[1].strip(): cells[-2]
    for line in TABLE.splitlines()
    if len(cells := line.split("|")) > 2 and re.fullmatch(r" F\d+ ", cells[1])
}
PROOFS = {
    flaw: (re.findall(r"\]\((\w+\.py)\)", proof), re.findall(r"`(test_\w+)`", proof))
    for flaw, proof in ROWS.items()
}
TESTS = {
    node.name: (path.name, node)
    for path in HERE.glob("test_*.py")
    if path != Path(__file__)
    for node in ast.parse(path.read_text()).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
}


def test_the_table_names_every_flaw_once_and_in_order():
    assert list(ROWS) == [f"F{number}" for number in range(1, 29)]
    assert len(re.findall(r"^\| F\d+ \|", TABLE, re.MULTILINE)) == 28


@pytest.mark.parametrize("flaw", ROWS)
def test_every_proof_exists_where_the_table_says_and_puts_its_flaw_in(flaw):
    [file], names = PROOFS[flaw]
    assert names
    for name in names:
        where, test = TESTS[name]
        assert where == file
        assert re.match(rf"{flaw}\b", ast.get_docstring(test))
        calls = {node.func.id for node in ast.walk(test)
                 if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}  # fmt: skip
        assert "caught" in calls


def test_every_test_of_a_flaw_is_in_the_table():
    assert {name for _, names in PROOFS.values() for name in names} == set(TESTS)
