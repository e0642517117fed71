"""The off-policy learner: soft actor-critic with prior data and corrections (RLPD / HIL-SERL family)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from robot_rlhf.datatypes import Batch, WeightSnapshot
from robot_rlhf.errors import ConfigError
from robot_rlhf.learner import losses
from robot_rlhf.learner.advising import HeadAdvice, likeliest
from robot_rlhf.learner.compiled import Compiled
from robot_rlhf.learner.given import Noise, as_given, from_given
from robot_rlhf.learner.graphs import UpdateGraphs
from robot_rlhf.learner.imitation import Imitation
from robot_rlhf.learner.lead import Lead
from robot_rlhf.learner.precision import Precision, WantedPrecision, precision_on
from robot_rlhf.learner.recipe import Bounds, LearnerConfig
from robot_rlhf.learner.state import AdamState, averaging_rate, begin_with, follow, load_state_of, snapshot_of, state_of
from robot_rlhf.learner.weighting import imitated_shares, imitation_mask
from robot_rlhf.policy.heads import PolicyOutput
from robot_rlhf.policy.imitators import Imitators, values_of_both
from robot_rlhf.policy.networks import (
    Actor,
    Critic,
    NetworkConfig,
    Shapes,
    has_discrete_gripper,
    split_action,
)
from robot_rlhf.policy.shapes import check_same_shapes, shapes_in
from robot_rlhf.ports import Learner
from robot_rlhf.ranges import AT_LEAST_ONE, MEMBERS_OR_NONE, RATE, SHARE, SHIFT, WEIGHT, Range, check_ranges
from robot_rlhf.replay.augment import augmented
from robot_rlhf.replay.buffer import ReplayBuffer
from robot_rlhf.replay.mixing import Mix


@dataclass(frozen=True)
class SacConfig(LearnerConfig):
    """How the off-policy learner learns."""

    kind: ClassVar[str] = "sac"
    practice: ClassVar = "needed"

    learning_rate: float = 3e-4
    """Of actor, critics and temperature."""
    learning_rate_end: float | None = None
    """Learning rate after learning_rate_updates; None keeps it. What is seen through a moving encoder needs rest: with
    pictures a policy that had learned went on swinging between success rates."""
    learning_rate_updates: int = 8_000
    """Updates over which the learning rate goes linearly from the one to the other."""
    target_rate: float = 0.005
    """Share of the online critic that flows into its target per update (tau)."""
    temperature: float = 0.01
    """Initial entropy temperature. From 1.0 the entropy bonus drowns a sparse reward: 0 % success, measured."""
    temperature_fixed: bool = False
    """The temperature stays what it is at first, which may then be 0; otherwise it learns to hold target_entropy."""
    temperature_steady: bool = False
    """The temperature moves as fast when it is small as when it is large: for dense rewards, whose first temperature is
    far from the last one. False: the slower, the smaller."""
    target_entropy: float | None = None
    """Nats; None means minus the number of action entries. HIL-SERL takes half of it; the tidier practice of this one
    makes a person take over less."""
    backup_entropy: bool = False
    """Count the entropy of the next action in the TD target."""
    target_subset: int = 2
    """The TD target is the least of this many critics, drawn anew each update (REDQ)."""
    caution: float = 0.0
    """The actor follows the critics' mean less so many of their standard deviations: it keeps away from what they
    disagree about."""
    imitators: int = 0
    """Networks that only imitate. Their mean acts unless every critic finds what the actor proposes better
    (policy/imitators.py); TD targets count on the better of the two. 0: the actor alone."""
    imitators_average_rate: float = 0.01
    """Share of the imitators that flows into their running average per actor update."""
    proven_weight: float = 1.0
    """Weight, for the imitators, of the policy's own steps that led to success unaided, beside a person's
    (self-imitation, Oh et al. 2018)."""
    actor_every: int = 2
    """Critic updates per update of actor and temperature."""
    return_bounds: tuple[float, float] | None = (-1.0, 1.0)
    """Possible returns, to which TD targets are clipped. None leaves them free."""
    cloning_weight: float = 1.5
    """Initial weight of imitating demonstrations and corrections beside maximising Q."""
    cloning_weight_end: float = 0.5
    """Weight after cloning_updates."""
    cloning_updates: int = 12_000
    """Updates over which the weight goes linearly from the one to the other; with imitators, practice decides."""
    average_rate: float = 0.001
    """Share of the actor that flows into its running average per actor update, a larger one in the first updates; the
    newest weights practise, the average is evaluated and deployed. 1 deploys the newest weights."""
    turned_colours: float = 0.0
    """Share of the pictures whose colours are turned at random: for things that may have any colour. Those that TD
    targets are made from are not turned."""
    encoder_cloning: float = 1.0
    """Weight of imitation in what the encoder learns, beside the critics' loss; only with pictures."""
    precision: WantedPrecision = "float32"
    """Of convolutions and matrix products; weights and losses stay in float32. auto: bfloat16 where the device
    multiplies it by itself, else float32, which is then many times faster."""
    compiled: bool = False
    """Whole updates as code that a C++ compiler makes at the first of them, which then keeps this process busy; the
    same results but for rounding. Without such a compiler updates are done as otherwise, and the log says so."""

    def __post_init__(self) -> None:
        check_ranges(self, "learner", learning_rate=RATE, learning_rate_end=RATE, target_rate=RATE, average_rate=RATE)
        check_ranges(self, "learner", learning_rate_updates=AT_LEAST_ONE, cloning_updates=AT_LEAST_ONE)
        check_ranges(self, "learner", actor_every=AT_LEAST_ONE, target_subset=AT_LEAST_ONE, shift_pixels=SHIFT)
        check_ranges(self, "learner", target_entropy=Range(-1e6, 1e6))
        check_ranges(self, "learner", temperature=Range(0.0 if self.temperature_fixed else 1e-12, 1e6))
        check_ranges(self, "learner", cloning_weight=WEIGHT, cloning_weight_end=WEIGHT, encoder_cloning=WEIGHT)
        check_ranges(
            self,
            "learner",
            imitators=MEMBERS_OR_NONE,
            imitators_average_rate=RATE,
            proven_weight=WEIGHT,
            caution=WEIGHT,
        )
        check_ranges(self, "learner", turned_colours=SHARE, return_bounds=Range(-1e6, 1e6))
        if self.return_bounds is not None and not self.return_bounds[0] < self.return_bounds[1]:
            raise ConfigError(f"learner.return_bounds: got {self.return_bounds}, allowed: the lower one first")

    def make(
        self, shapes: Shapes, network: NetworkConfig, *, buffer: ReplayBuffer, seed: int, device: str
    ) -> SacLearner:
        return SacLearner(shapes, network, self, seed=seed, device=device)

    def tutors(self, learner: Learner, *, seed: int) -> tuple[Lead, ...]:
        """Who leads, where networks imitate beside the actor."""
        if not isinstance(learner, SacLearner) or learner.imitation is None:
            return ()
        return (Lead(learner, seed),)

    def within(self, possible: Callable[[Bounds], Bounds | None]) -> SacConfig:
        bounds = self.return_bounds
        return self if bounds is None else replace(self, return_bounds=possible(bounds))

    def picture_precision(self, device: torch.device) -> Precision:
        return precision_on(device, self.precision)


class SacLearner:
    """Actor, critics, their target, and temperature. `update` is one critic step, every n-th an actor step too."""

    def __init__(
        self, shapes: Shapes, network: NetworkConfig, config: SacConfig, *, seed: int, device: str = "cpu"
    ) -> None:
        if config.target_subset > network.critics:
            raise ConfigError(
                f"learner.target_subset: got {config.target_subset}, allowed 1 to {network.critics} critics"
            )
        self.shapes = shapes
        self.config = config
        self.device = torch.device(device)
        self._half = precision_on(self.device, config.precision) == "bfloat16"
        init = torch.Generator().manual_seed(seed)
        self.actor = Actor(shapes, network, init).to(self.device)
        self.critic = Critic(shapes, network, self.actor.encoder.size, init).to(self.device)
        self.critic.half_precision = self.actor.head.half_precision = self._half
        self.average = self.actor.follower()
        self.imitation: Imitation | None = None
        if config.imitators:
            imitators = Imitators(shapes, network, config.imitators, self.actor.encoder.size, init).to(self.device)
            imitators.half_precision = self._half
            self.imitation = Imitation(
                imitators, proven_weight=config.proven_weight, average_rate=config.imitators_average_rate
            )
        self.target = copy.deepcopy(self.critic).requires_grad_(False)
        self.log_temperature = nn.Parameter(torch.tensor(float(config.temperature), device=self.device).log())
        self.log_temperature.requires_grad_(not config.temperature_fixed)
        self.target_rate = config.target_rate
        """As the config's; who changes it between updates may set it to 0, too. Compiled updates keep their first."""
        self.target_entropy = -float(shapes.action) if config.target_entropy is None else config.target_entropy
        self.updates = 0
        self.hold: float | None = None
        """How tightly the actor is held to what people did, 1 (cloning_weight) to 0 (cloning_weight_end), as practice
        tells (learner/lead.py). None: by cloning_updates."""
        self._first_rate = config.learning_rate
        self._imitates = bool(config.cloning_weight or config.cloning_weight_end)
        self._sees = self.actor.encoder.learns
        self._gripper = shapes.gripper if has_discrete_gripper(shapes, network) else None
        self.generator = torch.Generator(device=self.device).manual_seed(seed + 1)
        self._imitation_weight = torch.zeros((), device=self.device)
        self._averaging_rate = torch.ones((), device=self.device)
        value_parameters = [*self.critic.parameters(), *self.actor.encoder.parameters()]
        policy_parameters = list(self.actor.head.parameters())
        self._optimisers = {
            "value": AdamState(value_parameters, config.learning_rate),
            "policy": AdamState([*policy_parameters, self.log_temperature], config.learning_rate),
        }
        self._advice = HeadAdvice(self.actor.head, self._gripper)
        self._compiled = Compiled(self._learn_given, self._held(), self._write_out) if config.compiled else None

    # -- learning ------------------------------------------------------------------------------------------------

    def update(self, batch: Batch) -> Mapping[str, Tensor]:
        """One critic update; every `actor_every`-th also actor, temperature and the actor's average."""
        return self.step(batch, with_actor=self.begin())

    def whole_update(
        self, buffer: ReplayBuffer, batch_size: int, mix: Mix
    ) -> Callable[[], Mapping[str, Tensor]] | None:
        """On a GPU whole updates are CUDA graphs, unless replay keeps pictures in the host's memory."""
        if self.device.type != "cuda" or buffer.pictures.where != "device":
            return None
        return UpdateGraphs(self, buffer, batch_size, mix).update

    def begin(self) -> bool:
        """Count an update and set what changes from one to the next; returns whether the actor learns in it."""
        self.updates += 1
        self._imitation_weight.fill_(self.cloning_weight)
        self._averaging_rate.fill_(averaging_rate(self.config.average_rate, self.updates // self.config.actor_every))
        if self.config.learning_rate_end is not None:
            self._set_rates(self.learning_rate)
        return self.updates % self.config.actor_every == 0

    def set_learning_rate(self, value: float) -> None:
        """From the next update on; what a schedule of the config begins from. May be 0."""
        self._first_rate = value
        self._set_rates(value)

    def _set_rates(self, value: float) -> None:
        for optimiser in self._optimisers.values():
            optimiser.set_learning_rate(value)

    def step(self, batch: Batch, *, with_actor: bool) -> Mapping[str, Tensor]:
        """What an update does on the device, and there alone: a CUDA graph can hold it."""
        batch = replace(
            batch,
            observation=self._augment(batch.observation),
            next_observation=self._augment(batch.next_observation, colours=False),  # calm targets (SVEA, Hansen 2021)
        )
        noise = self._drawn(len(batch.action), with_actor=with_actor)
        if self._compiled is not None:
            return self._compiled(as_given(batch, noise))
        return self._learn(batch, noise)

    def _learn(self, batch: Batch, noise: Noise) -> Mapping[str, Tensor]:
        """An update with nothing random in it."""
        self.actor.encoder.note(batch.observation)
        action, is_open = split_action(batch.action, self._gripper)
        metrics, features = self._update_critic(batch, noise, action, is_open)
        if noise.policy is not None:
            metrics |= self._update_actor(batch, features, noise.policy, action, is_open)
        return metrics

    def _update_critic(
        self, batch: Batch, noise: Noise, action: Tensor, is_open: Tensor | None
    ) -> tuple[dict[str, Tensor], Tensor]:
        """One step of critics and encoder; returns metrics, and the observation's features for the actor to learn from.

        The encoder has no target of its own: next observations are seen by the newest one (DrQ-v2, Yarats et al. 2021).
        """
        with torch.no_grad():
            next_features = self._encode(batch.next_observation)
            out = self.actor.head(next_features)
            next_action, neg_entropy = out.sample(noise.following)
            next_q = self.target(next_features, next_action)  # (E, B, 1 or 2)
            next_q = (next_q if noise.subset is None else next_q[noise.subset]).amin(dim=0)
            next_value = self._expected(next_q, out)
            if self.config.backup_entropy:
                next_value = next_value - self.log_temperature.exp() * neg_entropy
            metrics: dict[str, Tensor] = {}
            if self.imitation is not None:  # their proposal has no entropy
                imitators_value = self.imitation.value(self.target, next_features, noise.subset)
                metrics["actor_ahead_share"] = (next_value > imitators_value).float().mean()
                next_value = torch.maximum(next_value, imitators_value)
            low, high = self.config.return_bounds or (None, None)
            target = losses.td_target(batch.reward, batch.discount, next_value, lowest=low, highest=high)
        features = self._encode(batch.observation)
        q = losses.of_executed_gripper(self.critic(features, action), is_open)  # (E, B)
        loss = losses.critic_loss(q, target, batch.weight)
        objective = loss
        if self._sees and self.config.encoder_cloning:
            cloning = self._cloning(self.actor.head(features), batch, action, is_open)
            objective = loss + self.config.encoder_cloning * cloning
        self._optimisers["value"].step(objective)
        if self.target_rate:
            follow(self.target, self.critic, self.target_rate)
        metrics |= {"critic_loss": loss.detach(), "q_mean": q.detach().mean(), "q_max": q.detach().max()}
        return metrics, features.detach()

    def _update_actor(
        self, batch: Batch, features: Tensor, noise: Tensor, action: Tensor, is_open: Tensor | None
    ) -> dict[str, Tensor]:
        out = self.actor.head(features)
        new_action, neg_entropy = out.sample(noise)
        values = self._expected(self.critic(features, new_action, detached=True), out)  # (E, B)
        value = losses.cautious_value(values, self.config.caution)
        temperature = self.log_temperature.detach().exp()
        loss = losses.actor_loss(value, neg_entropy, temperature, batch.weight)
        metrics: dict[str, Tensor] = {}
        if self._imitates:
            cloning = self._cloning(out, batch, action, is_open)
            loss = loss + self._imitation_weight * cloning
            metrics["cloning_loss"] = cloning.detach()
        objective = loss
        if not self.config.temperature_fixed:  # neither's gradient meets the other's
            objective = loss + losses.temperature_loss(
                self.log_temperature, neg_entropy, self.target_entropy, steady=self.config.temperature_steady
            )
        self._optimisers["policy"].step(objective)
        if self.imitation is not None:
            metrics["imitators_loss"] = self.imitation.learn(features, batch, action, is_open, self._shares(batch))
        follow(self.average, self.actor, self._averaging_rate)
        return metrics | {
            "actor_loss": loss.detach(),
            "entropy": -neg_entropy.detach().mean(),
            "temperature": temperature,
        }

    def _cloning(self, out: PolicyOutput, batch: Batch, action: Tensor, is_open: Tensor | None) -> Tensor:
        """The cloning loss on the batch's human rows."""
        mask = imitation_mask(batch.source)
        errors = out.continuous.imitation_error(action)
        return losses.cloning_loss(errors, out.gripper_logit, is_open, mask, self._shares(batch))

    def _shares(self, batch: Batch) -> losses.Shares | None:
        return imitated_shares(batch, self._gripper)

    def warm_start(self, batches: Iterable[Batch]) -> float:
        """Warm start: the actor imitates the batches, mean and spread; returns the last loss."""
        last = torch.zeros(())
        policy = AdamState(list(self.actor.parameters()), 1e-3)
        for batch in batches:
            action, is_open = split_action(batch.action, self._gripper)
            self.actor.encoder.note(batch.observation)
            features = self._encode(self._augment(batch.observation))
            out = self.actor.head(features)
            last = self._cloning(out, batch, action, is_open)
            mask = imitation_mask(batch.source)
            spread = losses.spread_loss(out.continuous.spread_error(action), mask, self._shares(batch))
            policy.step(last + 0.05 * spread)
            if self.imitation is not None:
                self.imitation.learn(features.detach(), batch, action, is_open, self._shares(batch))
        follow(self.average, self.actor, 1.0)
        if self.imitation is not None:
            self.imitation.settle()
        return float(last.detach())

    def warm_critic(self, batches: Iterable[Batch]) -> None:
        """Update the critics alone, so that the actor does not follow a raw one."""
        for batch in batches:
            self.step(batch, with_actor=False)
            if self.imitation is not None and self._sees:  # the encoder moved under them
                action, is_open = split_action(batch.action, self._gripper)
                with torch.no_grad():
                    features = self._encode(self._augment(batch.observation))
                self.imitation.learn(features, batch, action, is_open, self._shares(batch))

    def advise(
        self, observation: Mapping[str, Tensor], target: Tensor, mask: Tensor, weight: Tensor
    ) -> Mapping[str, Tensor]:
        """One step of actor and imitators, as they see with the encoder of now. In place, whatever compiled it."""
        return self._told(observation, target, mask, weight, Imitation.advise)

    def keep(
        self, observation: Mapping[str, Tensor], target: Tensor, mask: Tensor, weight: Tensor
    ) -> Mapping[str, Tensor]:
        """As advise; the imitators learn it beside what they imitate."""
        return self._told(observation, target, mask, weight, Imitation.keep)

    def _told(
        self,
        observation: Mapping[str, Tensor],
        target: Tensor,
        mask: Tensor,
        weight: Tensor,
        imitators_learn: Callable[[Imitation, Tensor, Tensor, Tensor, Tensor, int | None], None],
    ) -> Mapping[str, Tensor]:
        with torch.no_grad():
            features = self._encode(observation)
        told = self._advice.learn(features, target, mask, weight, self.learning_rate)
        if self.imitation is not None:
            imitators_learn(self.imitation, features, target, mask, weight, self._gripper)
        return told

    # -- asking --------------------------------------------------------------------------------------------------

    @property
    def policy_updates(self) -> int:
        """Updates of the actor."""
        return self.updates // self.config.actor_every

    @torch.no_grad()
    def mode(self, observation: Mapping[str, Tensor]) -> Tensor:
        """What the newest weights would do, as policy/learned.py chooses between actor and imitators. Shape (B, m)."""
        features = self._encode(observation)
        found = self.actor.head(features)
        ours = likeliest(found, self._gripper)
        if self.imitation is None or not bool(self.imitation.imitators.know):
            return ours
        imitators = self.imitation.imitators
        imitated = imitators(features)
        if bool(imitators.alone):
            return likeliest(imitated, self._gripper)
        mine, theirs = values_of_both(self.target, features, found, imitated)  # (E, B)
        better = (mine > theirs).all(dim=0).unsqueeze(1)
        return torch.where(better, ours, likeliest(imitated, self._gripper))

    @property
    def cloning_weight(self) -> float:
        """Weight of imitation now."""
        c = self.config
        if self.hold is not None:
            return c.cloning_weight_end + self.hold * (c.cloning_weight - c.cloning_weight_end)
        return _between(c.cloning_weight, c.cloning_weight_end, self.updates, c.cloning_updates)

    @property
    def learning_rate(self) -> float:
        """Of all parameters now."""
        c = self.config
        end = self._first_rate if c.learning_rate_end is None else c.learning_rate_end
        return _between(self._first_rate, end, self.updates, c.learning_rate_updates)

    @torch.no_grad()
    def q_values(self, observation: Mapping[str, Tensor], action: Tensor) -> Tensor:
        """Mean over the ensemble of Q of the given actions (B, m). Shape (B,)."""
        continuous, is_open = split_action(action, self._gripper)
        return losses.of_executed_gripper(self.critic(self.actor.encoder(observation), continuous), is_open).mean(dim=0)

    def snapshot(self) -> WeightSnapshot:
        """The newest policy: what practises, so that mistakes of the critic are met and mended."""
        if self.imitation is None:
            return snapshot_of(self.actor, self.updates)
        self.imitation.published(self.updates)
        return snapshot_of(self.actor, self.updates, imitators=self.imitation.imitators, judge=self.target)

    def averaged(self) -> WeightSnapshot:
        """Its running average: what is evaluated and deployed, free of the newest one's swings."""
        if self.imitation is None:
            return snapshot_of(self.average, self.updates)
        return snapshot_of(self.average, self.updates, imitators=self.imitation.average, judge=self.target)

    def begin_with(self, snapshot: WeightSnapshot) -> None:
        """Go on from a policy's weights; values are learned anew. Raises CheckpointError for another architecture."""
        begin_with(snapshot, self.actor, self.average)
        if self.imitation is not None:
            begin_with(snapshot, self.imitation.imitators, self.imitation.average, beside="imitators")

    def state(self) -> Mapping[str, Tensor]:
        own = {
            "updates": torch.tensor(self.updates),
            "generator": self.generator.get_state(),
            "log_temperature": self.log_temperature.detach().clone(),
        }
        return own | state_of(self._modules(), self._all_optimisers()) | self._advised_state()

    def _advised_state(self) -> dict[str, Tensor]:
        """Of advice alone: nothing before the first."""
        beside = {} if self.imitation is None else self.imitation.advice.state("imitators")
        return self._advice.state() | beside

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self._advice.load(state)
        if self.imitation is not None:
            self.imitation.advice.load("imitators", state)
        check_same_shapes("state", shapes_in(state), shapes_in(self.state()))
        load_state_of(state, self._modules(), self._all_optimisers())
        with torch.no_grad():
            self.log_temperature.copy_(state["log_temperature"])
        self.generator.set_state(state["generator"].cpu())
        self.updates = int(state["updates"])

    # -- compiled ------------------------------------------------------------------------------------------------

    def _learn_given(self, given: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return self._learn(*from_given(given))

    def _held(self) -> list[Tensor]:
        """All tensors that an update reads or changes, besides what it is given."""
        held = [self.log_temperature, self._imitation_weight, self._averaging_rate]
        for module in self._modules().values():
            held += [*module.parameters(), *module.buffers()]
        for optimiser in self._all_optimisers().values():
            held += optimiser.held()
        return list({id(tensor): tensor for tensor in held}.values())

    def _write_out(self, on: bool) -> None:
        for optimiser in self._all_optimisers().values():
            optimiser.written_out = on

    # -- parts ---------------------------------------------------------------------------------------------------

    def _modules(self) -> dict[str, nn.Module]:
        modules = {"actor": self.actor, "average": self.average, "critic": self.critic, "target": self.target}
        return modules if self.imitation is None else modules | self.imitation.modules

    def _all_optimisers(self) -> dict[str, AdamState]:
        """Those of one learning rate, and the imitators', which has its own."""
        return self._optimisers if self.imitation is None else self._optimisers | self.imitation.optimisers

    def _augment(self, observation: Mapping[str, Tensor], *, colours: bool = True) -> Mapping[str, Tensor]:
        c = self.config
        turned = c.turned_colours if colours else 0.0
        return augmented(observation, self.generator, shift_pixels=c.shift_pixels, turned=turned)

    def _encode(self, observation: Mapping[str, Tensor]) -> Tensor:
        """Features (B, F) in float32; convolutions in the configured precision."""
        if not self._sees:
            return self.actor.encoder(observation)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            return self.actor.encoder(observation).float()

    def _drawn(self, size: int, *, with_actor: bool) -> Noise:
        """The noise of one update of so many transitions."""
        place: Any = {"generator": self.generator, "device": self.device}
        shape = (size, self.actor.head.noises)
        following = torch.randn(shape, **place)
        subset = None
        if self.config.target_subset != self.critic.members:
            subset = torch.rand(self.critic.members, **place).topk(self.config.target_subset).indices
        return Noise(following, subset, torch.randn(shape, **place) if with_actor else None)

    @staticmethod
    def _expected(q: Tensor, out: PolicyOutput) -> Tensor:
        if out.gripper_logit is None:
            return q[..., 0]
        return losses.expected_over_gripper(q, out.gripper_logit)


def _between(start: float, end: float, done: int, whole: int) -> float:
    """Linearly from start to end, and then the end."""
    return start + min(1.0, done / max(1, whole)) * (end - start)
