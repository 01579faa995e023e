"""How many parts of an upload go at a time, on lines and machines that are made up."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genro_storage.backends.s3.pace import Pace
from genro_storage.backends.s3.side_by_side import AT_ONCE

PART = 8 * 1024 * 1024


class Line:
    """Parts that take as long as ``rate``, in bytes per second with so many at a time, says."""

    def __init__(self, rate, noise=0.0, seed=0):
        self.rate = rate
        self.now = 0.0
        self.numbers = []
        self._noise = noise
        self._chance = random.Random(seed)
        self.pace = Pace(clock=lambda: self.now)

    def send(self, parts):
        for _ in range(parts):
            number = self.pace()
            self.numbers.append(number)
            blur = 1 + self._noise * (2 * self._chance.random() - 1)
            self.now += PART / (self.rate(number) * blur)
            self.pace.arrived(PART)
        return self.numbers[-parts:]


def share(numbers, wanted):
    return sum(number in wanted for number in numbers) / len(numbers)


def test_it_begins_with_the_most():
    assert Line(lambda _: 1e6).send(12) == [AT_ONCE] * 12


def test_where_more_bring_nothing_it_goes_with_two():
    numbers = Line(lambda _: 1e8).send(1000)
    assert set(numbers[40:]) <= {2, 3}
    assert share(numbers[40:], {2}) > 0.8


def test_where_more_are_in_each_other_s_way_it_goes_with_two():
    assert share(Line(lambda number: 1e8 / number).send(1000)[40:], {2}) > 0.8


def test_where_each_connection_is_slower_than_the_line_it_stays_with_the_most():
    numbers = Line(lambda number: 1e6 * number).send(1000)
    assert share(numbers, {AT_ONCE}) > 0.9
    assert set(numbers) == {AT_ONCE - 1, AT_ONCE}  # it has looked


def test_where_three_fill_the_line_it_goes_with_three():
    assert share(Line(lambda number: min(number, 3) * 1e7).send(1000)[40:], {3}) > 0.8


def test_it_climbs_again_where_the_line_changes():
    line = Line(lambda _: 1e8)
    assert line.send(60)[-1] == 2
    line.rate = lambda number: 1e8 * number
    assert share(line.send(1000)[700:], {AT_ONCE}) > 0.8


def test_what_is_not_worth_it_is_tried_ever_more_seldom():
    numbers = Line(lambda number: 1e6 * number).send(4000)
    early, late = numbers[:1000], numbers[3000:]
    assert 0 < late.count(AT_ONCE - 1) < early.count(AT_ONCE - 1)


@pytest.mark.parametrize("seed", range(5))
def test_chance_does_not_lead_it_astray_for_long(seed):
    """On a line that four fill, with rates that are up to a third off for each part."""
    line = Line(lambda number: 1e6 * number, noise=0.33, seed=seed)
    begun = line.now
    line.send(2000)
    assert line.now - begun < 2000 * PART / 4e6 * 1.15


@given(
    st.lists(st.tuples(st.integers(0, PART), st.floats(0, 1e6)), max_size=300),
    st.integers(0, 6),
)
def test_it_is_never_fewer_than_two_nor_more_than_the_most(parts, most):
    now = 0.0
    pace = Pace(most, clock=lambda: now)
    for size, seconds in parts:
        now += seconds
        pace.arrived(size)
        assert 2 <= pace() <= max(2, most)
