"""What an episode needs, as one value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from robot_rlhf.datatypes import HumanInput
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.ports import Director, Monitor, Policy, Restorable, Shield, Subscriber, Task, Teleop
from robot_rlhf.runtime.fan_out import FanOut
from robot_rlhf.runtime.inputs import Inputs
from robot_rlhf.runtime.listening import Listening
from robot_rlhf.runtime.recent import RecentSteps
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.success_watch import SuccessWatch
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.timing import Clock, Rate


@dataclass
class Station:
    """Everything an episode needs."""

    guard: GuardedRobot
    task: Task
    policy: Policy | None
    """None while a person demonstrates."""
    arbiter: Arbiter
    reward: SparseReward
    clock: Clock
    director: Director | None = None
    """Says what is asked for in each step; None: the task, in its own words."""
    shield: Shield | None = None
    """Stands between arbiter and guard; None lets everything pass."""
    listening: Listening | None = None
    """Understands what people say, and does it; None: sentences are recorded, and nothing else."""
    teleop: Teleop | None = None
    operator: str = "none"
    who: Callable[[], str] = field(default=lambda: "")
    """Who has the operator's seat right now, asked when an episode begins; empty for `operator`."""
    subscribers: Sequence[Subscriber] = ()
    """Told of everything, in this order: the journal comes first."""
    monitor: Monitor | None = None
    """Shown the present in every control period."""
    pace: Rate | None = None
    """Keeps the control period in real time; None lets a simulated robot run as fast as it can."""
    release_faults: bool = False
    """Release latched faults, all but a pressed STOP, when an episode begins: for simulations only, where nobody is
    at risk."""
    may_move: Callable[[], bool] = field(default=lambda: True)
    """Asked before each step and each episode: False makes the step the episode's last, and the robot holds still
    before the next episode (for example while the learner is gone)."""
    waiting_for: str = "the learner"
    """What `may_move` waits for, in words."""
    attended: bool = False
    """Somebody at a console can release faults: the robot waits for them instead of giving up."""
    waits_for_hands: bool = False
    """An episode begins when the person's hands do, and has no clock while they drive: for demonstrations by a real
    person. Left alone for the task's time limit times `patience` it ends."""
    patience: float = 1.0
    """Times the task's time limit that an episode may last when a person drives: their own steps do not count
    towards the limit before that."""
    success_watch: SuccessWatch | None = None
    """Says that the task has succeeded, where the reward's judge is a model."""
    world: Restorable | None = None
    """Puts a simulation back for a rewind: the guard of a robot that can be; None rewinds by motion along the recorded
    path."""

    inputs: Inputs = field(default_factory=Inputs)
    """What waits to be used; one for all copies of a station, so that words said at one are heard at the next."""
    recent: RecentSteps = field(default_factory=RecentSteps)
    """What sentences may be about; one for all copies of a station."""

    @property
    def audience(self) -> FanOut:
        """All subscribers as one."""
        return FanOut(self.subscribers)

    def read(self) -> HumanInput | None:
        """What the person does now."""
        human = self.inputs.read(self.teleop)
        return human if self.listening is None else self.listening.understand(human)


class StopRequestedError(Exception):
    """The person pressed stop where nobody can release it: the session ends once the episode has been closed."""


class EndRequestedError(Exception):
    """The person ended the session; the episode has been closed."""
