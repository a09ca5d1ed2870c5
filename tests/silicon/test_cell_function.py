"""Functions of gates: every operator and its place among the others; what is written otherwise is refused."""

import pytest

from acceltran.silicon.cell_function import truth_table


@pytest.mark.parametrize(("function", "table"), [
    ("A", [0, 1]), ("!A", [1, 0]), ("(!A)", [1, 0]), ("! (A)", [1, 0]), ("!!A", [0, 1]),
    ("!(A&B)", [1, 1, 1, 0]), ("(!A) | (!B)", [1, 1, 1, 0]), ("!A+!B", [1, 1, 1, 0]), ("!(B*A1)", [1, 1, 1, 0]),
    ("A^B", [0, 1, 1, 0]), ("!A ^ B", [1, 0, 0, 1]), ("A & 1", [0, 1]), ("A | 0", [0, 1]),
])
def test_truth(function, table):
    assert truth_table(function)[1] == table


def test_inputs_come_in_order_of_their_names_and_operators_of_their_strength():
    assert truth_table("C | A & B") == (["A", "B", "C"], [0, 1, 0, 1, 0, 1, 1, 1])
    assert truth_table("A & B ^ C")[1] == truth_table("A & (B ^ C)")[1]
    assert truth_table("A | B ^ C")[1] == truth_table("A | (B ^ C)")[1]
    assert truth_table("1") == ([], [1])


@pytest.mark.parametrize("function", ["", "A B", "A'", "(A", "A)", "A &", "& A", "A & & B", "2", "A.b", "!", "()"])
def test_others_are_refused(function):
    with pytest.raises(ValueError):
        truth_table(function)
