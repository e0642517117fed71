"""What a person adds to an off-policy algorithm of Stable-Baselines3: demonstrations, and corrections while it acts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import Tensor

from robot_rlhf.bridges.buffer import DeviceReplayBuffer
from robot_rlhf.bridges.demonstrations import INTERVENTION, Demonstration, from_journal
from robot_rlhf.bridges.environment import encoder_of
from robot_rlhf.datatypes import Observation
from robot_rlhf.errors import ConfigError, InvalidValueError, ShapeError
from robot_rlhf.policy.features import Features

ROUNDING = 1e-3
"""Share of the range of an action by which one may lie outside."""


def all_shown(given: object) -> tuple[Demonstration, ...]:
    """Raises ConfigError for what is not demonstrations, one after the other."""
    shown: tuple[Any, ...] = ()
    wrong: list[object] = [given]
    if isinstance(given, Iterable) and not isinstance(given, str):
        shown = tuple(given)
        wrong = [each for each in shown if not isinstance(each, Demonstration)]
    if wrong:
        got = type(wrong[0]).__name__
        raise ConfigError(
            f"demonstrations: got {got}, allowed: a list of Demonstration, or the Path of a journal for "
            "add_demonstrations(path, encode=...)"
        )
    return shown


class TaughtAlgorithm(OffPolicyAlgorithm):
    """An OffPolicyAlgorithm that can be given demonstrations, and that people may correct while it collects.

    A correction is told by the environment: where info of a step has 'intervene_action', that action was executed in
    place of the algorithm's. It is what replay gets, marked as a person's.
    """

    def add_demonstrations(
        self,
        given: Iterable[Demonstration] | Path,
        *,
        encode: Features | Callable[[Observation], Any] | None = None,
    ) -> int:
        """Keep what somebody showed; at any time, also while learning goes on.

        Args:
            given: episodes, or a journal, of which the successful demonstrations are taken.
            encode: of a journal: what the environment shows of an observation; Features, as RobotEnvironment does.

        Returns:
            How many demonstrations were added.

        Raises:
            ConfigError: a replay buffer of another kind, a journal without `encode`, or what is no demonstration.
            ShapeError: observations or actions of another shape than the environment's.
            InvalidValueError: actions outside the bounds of the action space.
        """
        buffer = self.replay_buffer
        if not isinstance(buffer, DeviceReplayBuffer):
            raise ConfigError(
                f"demonstrations: {type(buffer).__name__} does not tell them from practice, allowed: DeviceReplayBuffer"
            )
        if isinstance(given, Path):
            if encode is None:
                raise ConfigError(f"demonstrations {given}: a journal needs encode=, what the environment shows of it")
            show = encoder_of(encode) if isinstance(encode, Features) else encode
            found = from_journal(given, show)  # in [-1, 1] already
        else:
            found = [each.with_actions(self._scaled) for each in all_shown(given)]
        buffer.add_demonstrations(found)
        return len(found)

    def _scaled(self, actions: NDArray[Any]) -> NDArray[np.float32]:
        """Actions in the environment's units to [-1, 1]; those that lie there already stay as they are, to the bit.

        Raises:
            ShapeError: of another shape than the action space.
            InvalidValueError: outside its bounds by more than rounding: in other units, probably, and nothing that the
                actor could do.
        """
        space = self.action_space
        assert isinstance(space, spaces.Box)
        if actions.shape[1:] != space.shape:
            raise ShapeError("actions", actions.shape, ("T", *space.shape))
        room = ROUNDING * (space.high - space.low)
        beyond = (actions < space.low - room) | (actions > space.high + room)
        if beyond.any():
            row = int(np.argwhere(beyond)[0][0])
            raise InvalidValueError(
                f"actions[{row}]", actions[row].tolist(), f"{space.low.tolist()} to {space.high.tolist()}"
            )
        actions = np.clip(actions, space.low, space.high)
        if (space.low == -1.0).all() and (space.high == 1.0).all():
            return np.asarray(actions, np.float32)
        return np.asarray(self.policy.scale_action(actions), np.float32)

    def _store_transition(
        self,
        replay_buffer: ReplayBuffer,
        buffer_action: NDArray[Any],
        new_obs: Any,
        reward: NDArray[Any],
        dones: NDArray[Any],
        infos: list[dict[str, Any]],
    ) -> None:
        """As theirs, with what was executed."""
        executed = buffer_action
        for number, info in enumerate(infos):
            if INTERVENTION in info:
                executed = np.array(executed) if executed is buffer_action else executed
                given = np.asarray(info[INTERVENTION])
                if given.size == executed[number].size:  # however it is laid out
                    given = given.reshape(executed[number].shape)
                executed[number] = self._scaled(given[None])[0]
        super()._store_transition(replay_buffer, executed, new_obs, reward, dones, infos)

    def _draw(self, batch_size: int, *, prior_share: float | None = None) -> tuple[Any, Tensor | None]:
        """Samples of the replay buffer, and who drove in them; None where the buffer does not know."""
        buffer, env = self.replay_buffer, self._vec_normalize_env
        assert buffer is not None
        if isinstance(buffer, DeviceReplayBuffer):
            return buffer.sample_with_sources(batch_size, env, prior_share=prior_share)
        return buffer.sample(batch_size, env=env), None

    def _drawn_from_demonstrations(self, count: int) -> Iterator[tuple[Any, Tensor | None]]:
        """So many batches of what people did alone."""
        for _ in range(count):
            yield self._draw(self.batch_size, prior_share=1.0)
