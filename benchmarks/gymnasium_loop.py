"""A Gymnasium environment in our own loop: behind the guard, with a person's demonstrations and our sparse reward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from robot_rlhf.datatypes import Action, HumanInput
from robot_rlhf.feedback.arbiter import Arbiter
from robot_rlhf.learner.sac import SacConfig, SacLearner
from robot_rlhf.policy.features import FeatureConfig, Features
from robot_rlhf.policy.learned import ExplorationConfig, LearnedPolicy, shapes_of
from robot_rlhf.policy.networks import NetworkConfig
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.feed import ReplayFeed
from robot_rlhf.replay.hindsight import Hindsight, sparse_judge
from robot_rlhf.runtime.evaluation import evaluate
from robot_rlhf.runtime.inline_learner import InlineLearner
from robot_rlhf.runtime.reward import SparseReward
from robot_rlhf.runtime.session import Session
from robot_rlhf.runtime.station import Station
from robot_rlhf.runtime.tally import Tally
from robot_rlhf.runtime.trainer import Trainer, TrainerConfig
from robot_rlhf.safety.guard import GuardedRobot
from robot_rlhf.safety.limits import DirectLimits
from robot_rlhf.timing import FakeClock
from robot_rlhf_sim.gymnasium_robot import GymnasiumRobot, GymnasiumTask


@dataclass(frozen=True)
class Hands:
    """A script as a person: it sees what the environment shows, and always drives."""

    robot: GymnasiumRobot
    does: Callable[[Any], Any]
    """Observation by key to an action in the environment's units."""

    def read(self) -> HumanInput:
        state = self.robot.observe().scene["state"]
        command = self.robot.spec.command
        wish = self.does({name: state[place] for name, place in self.robot.parts.items()})
        scaled = 2.0 * (wish - command.lower) / (command.upper - command.lower) - 1.0
        return HumanInput(Action(np.clip(scaled, -1.0, 1.0).astype(np.float32)))


class GymnasiumLoop:
    """Demonstrations, practice and evaluation of one environment that tells success."""

    def __init__(
        self,
        make: Callable[[], gymnasium.Env[Any, Any]],
        *,
        seed: int,
        time_limit: int,
        hindsight: bool,
        sac: SacConfig = SacConfig(),  # noqa: B008  it is frozen
        discount: float = 0.97,
    ) -> None:
        """Args: make: called twice, for practice and for evaluation."""
        self.seed = seed
        self.robot, self.task, self.station = self._place(make(), time_limit)
        spec = self.robot.spec
        features = Features(spec, FeatureConfig(relative=self.robot.relative))
        self.policy = LearnedPolicy(spec, features, NetworkConfig(), exploration=ExplorationConfig())
        *_, self.elsewhere = self._place(make(), time_limit)
        self.measured = LearnedPolicy(spec, features, NetworkConfig())
        self.elsewhere.policy = self.measured
        parts, goals = self.robot.parts, None
        if hindsight:
            goals = Hindsight(parts["achieved_goal"], parts["desired_goal"], sparse_judge(self.task.reached))
        buffer = ReplayBuffer(
            100_000,
            state_size=features.size,
            action_size=spec.action.size,
            discount=discount,
            seed=seed,
            hindsight=goals,
        )
        learner = SacLearner(shapes_of(spec, features), NetworkConfig(), sac, seed=seed)
        self.trainer = Trainer(learner, buffer, [ReplayFeed(buffer, features)], TrainerConfig(updates_per_step=1.0))
        self.inline = InlineLearner(self.trainer, self.policy, publish_every=20)
        tally = Tally(spec.control_period)
        self.station.policy = self.policy
        self.station.subscribers = (tally, self.trainer, self.inline)
        self.session = Session(self.station, tally, seed, {})

    def _place(self, env: gymnasium.Env[Any, Any], time_limit: int) -> tuple[GymnasiumRobot, GymnasiumTask, Station]:
        clock = FakeClock()
        robot = GymnasiumRobot(env, clock)
        task = GymnasiumTask(robot, name="environment", instruction="", time_limit=time_limit)
        free = DirectLimits(np.full(robot.spec.action.size, np.inf), command_validity=1.0, observation_age_max=1.0)
        station = Station(
            guard=GuardedRobot(robot, free, clock),
            task=task,
            policy=None,
            arbiter=Arbiter(robot.spec.action, give_back_after=0.1),
            reward=SparseReward(),
            clock=clock,
            release_faults=True,
        )
        return robot, task, station

    def demonstrate(self, count: int, does: Callable[[Any], Any]) -> None:
        """Have so many successful demonstrations given."""
        self.session.demonstrate(count, Hands(self.robot, does), "script")

    def practise(self, until: int) -> None:
        """Practise until so many steps are done."""
        self.session.practise(until, lambda: False, before_episode=self.inline.begin)

    def success_rate(self, episodes: int) -> float:
        """Of the averaged actor, unaided."""
        self.measured.load(self.trainer.learner.averaged())
        return evaluate(self.elsewhere, episodes=episodes, seed=self.seed).success_rate
