from __future__ import annotations

from robot_rlhf.conformance import PlaceConformance
from robot_rlhf.errors import RenderError
from robot_rlhf.place import Place
from robot_rlhf.timing import Clock, FakeClock
from robot_rlhf_sim.disturbance import DisturbanceConfig
from robot_rlhf_sim.place import SimConfig


def draws() -> bool:
    place = SimConfig().open("reach", clock=FakeClock(), cameras={})
    assert place.view is not None
    try:
        place.view("front", 8, 8)
    except RenderError:
        return False
    finally:
        place.close()
    return True


class TestReachPlace(PlaceConformance):
    draws = draws()

    def make_place(self, clock: Clock) -> Place:
        return SimConfig().open("reach", clock=clock, cameras={})


class TestVariedPegPlace(PlaceConformance):
    draws = draws()

    def make_place(self, clock: Clock) -> Place:
        settings = SimConfig({"clearance": 0.001}, DisturbanceConfig(command_delay=1, action_noise=0.1), randomise=0.5)
        return settings.open("peg_insert", clock=clock, cameras={})
