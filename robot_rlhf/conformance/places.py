"""Laws of a place."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from robot_rlhf.conformance.robots import assert_matches_spec, assert_same_state
from robot_rlhf.datatypes import Action, EpisodeKind, EpisodeMeta, Observation
from robot_rlhf.errors import ConfigError, RenderError
from robot_rlhf.people.person import PersonConfig
from robot_rlhf.place import Place
from robot_rlhf.ports import Policy, ShownTask, Task
from robot_rlhf.timing import Clock, FakeClock


class PlaceConformance:
    """Laws of a Place in simulated time."""

    steps = 5
    """Actions over which a seed, and a world that was put back, must reproduce."""
    picture = (12, 16)
    """Height and width of the picture that is taken where there is a view."""
    draws = True
    """This machine has what the view draws with."""
    begins_exactly = True
    """An episode begins as its seed says whatever went before; not so where the robot moves to its start."""

    def make_place(self, clock: Clock) -> Place:
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _closed_in_the_end(self) -> Iterator[None]:
        self._opened: list[Place] = []
        yield
        for place in self._opened:
            place.close()

    def _place(self, clock: Clock | None = None) -> Place:
        place = self.make_place(clock or FakeClock())
        self._opened.append(place)
        return place

    def _begin(self, place: Place, seed: int) -> Observation:
        return place.guard.begin(lambda: place.task.reset(np.random.default_rng(seed)))

    def _go_on(self, place: Place, rng: np.random.Generator) -> list[Observation]:
        seen: list[Observation] = []
        for _ in range(self.steps):
            place.guard.act(Action(rng.uniform(-1, 1, place.spec.action.size).astype(np.float32)))
            seen.append(place.guard.observe())
        return seen

    def _episode(self, place: Place, seed: int) -> list[Observation]:
        return [self._begin(place, seed), *self._go_on(place, np.random.default_rng(seed))]

    def test_is_a_place_with_a_task(self) -> None:
        place = self._place()
        assert isinstance(place, Place)
        assert isinstance(place.task, Task)
        assert place.can_be_shown is isinstance(place.task, ShownTask)

    def test_the_spec_is_the_guards_and_what_is_seen_matches_it(self) -> None:
        place = self._place()
        assert place.spec is place.guard.spec
        assert_matches_spec(place.guard.observe(), place.spec)  # whoever waits for the first episode looks, too
        for seen in self._episode(place, 0):
            assert_matches_spec(seen, place.spec)

    def test_robot_and_place_live_by_one_clock(self) -> None:
        clock = FakeClock(7.0)
        place = self._place(clock)
        assert place.clock is clock
        stamps = [seen.stamp for seen in self._episode(place, 0)]
        assert stamps[-1] == pytest.approx(clock.now())
        np.testing.assert_allclose(np.diff(stamps), place.spec.control_period)

    def test_twins_begin_alike_and_are_apart(self) -> None:
        one, other = self._place(), self._place()
        for a, b in zip(self._episode(one, 7), self._episode(other, 7), strict=True):
            assert_same_state(a, b)
        before = other.guard.observe()
        self._go_on(one, np.random.default_rng(1))
        self._begin(one, 8)
        after = other.guard.observe()
        assert_same_state(before, after)
        assert after.stamp == before.stamp

    def test_a_seed_reproduces_after_other_episodes(self) -> None:
        if not self.begins_exactly:
            pytest.skip("the robot moves to its start")
        place = self._place()
        first = self._episode(place, 7)
        self._episode(place, 8)
        for a, b in zip(first, self._episode(place, 7), strict=True):
            assert_same_state(a, b)

    def test_a_simulated_person_knows_the_task_or_is_refused_in_one_line(self) -> None:
        place = self._place()
        if not place.can_be_shown:
            assert place.expert() is None
            with pytest.raises(ConfigError, match=place.task.name) as refused:
                place.person(PersonConfig())
            assert "\n" not in str(refused.value)
            watching = place.person(PersonConfig(attention=0.0)).read()
            assert watching is not None
            assert watching.action is None
            assert not watching.buttons
            return
        assert isinstance(place.expert(), Policy)
        person = place.person(PersonConfig())
        meta = EpisodeMeta("d", place.task.name, EpisodeKind.DEMONSTRATION, 3, "clumsy", "task_success@1")
        person.on_episode_start(meta, self._begin(place, 3))
        read = person.read()
        assert read is not None
        assert read.action is not None
        assert read.action.values.shape == (place.spec.action.size,)

    def test_a_picture_has_the_size_that_was_asked_for(self) -> None:
        place = self._place()
        if place.view is None:
            return
        self._begin(place, 0)
        if self.draws:
            picture = place.view("front", *self.picture)
            assert (picture.shape, picture.dtype) == ((*self.picture, 3), np.uint8)
            return
        with pytest.raises(RenderError) as refused:
            place.view("front", *self.picture)
        assert "\n" not in str(refused.value)

    def test_a_world_put_back_goes_on_as_it_went_on(self) -> None:
        place = self._place()
        if place.world is None:
            return
        self._episode(place, 0)
        state, before = place.guard.snapshot(), place.guard.observe()
        first = self._go_on(place, np.random.default_rng(1))
        self._episode(place, 4)
        place.guard.restore(state)
        assert_same_state(before, place.guard.observe())
        for a, b in zip(first, self._go_on(place, np.random.default_rng(1)), strict=True):
            assert_same_state(a, b)

    def test_closed_it_holds_still_and_stays_closed(self) -> None:
        clock = FakeClock()
        place = self._place(clock)
        before = self._episode(place, 0)[-1]
        place.close()
        assert place.guard.faults == ()
        place.close()
        clock.advance(1.0)
        np.testing.assert_allclose(place.guard.observe().tool_pose_in_base, before.tool_pose_in_base, atol=5e-3)
