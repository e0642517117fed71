"""How much each kind of step counts when a policy imitates: a person's steps alike, or by IWR's or Sirius's classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from robot_rlhf.datatypes import Batch, Source
from robot_rlhf.learner.losses import Shares

Weighting = Literal["person", "iwr", "sirius"]
"""person: what a person did or praised, all alike, and nothing else. iwr: corrections make half of the loss, all other
steps, the policy's own too, the other half (Mandlekar et al. 2020). sirius: corrections half, the steps that led to
them almost nothing, the policy's own what demonstrations leave (Liu et al. 2023)."""
IMITATED = (Source.DEMO, Source.HUMAN, Source.POLICY, Source.PRE_INTERVENTION, Source.PRAISED)
"""Sources that are classes of IWR and Sirius, with what people praised, which weighs as a demonstration does;
Source.OTHER is nobody's action, what was BLAMED nobody wants, and PROVEN steps are the policy's."""
CORRECTIONS = 0.5
"""Share of the loss of corrections."""
BLAMED = 0.002
"""Share of the loss of the steps that led to corrections, with Sirius."""


def class_masses(weighting: Weighting, counts: Mapping[Source, int]) -> dict[Source, float]:
    """Share of the loss that each source has, summing to 1; empty where nothing is to be imitated.

    Written with weights per step, as their authors have it, with c the fraction of a class among all steps. IWR: a
    correction (N - n) / n, any other step 1. Sirius: a demonstration, and what was praised, 1, a correction 0.5 / c, a
    step that led to one 0.002 / c, one of the policy (1 - 0.5 - c_demo - c_praised - 0.002) / c. Where demonstrations
    are more than all that, as in the first minutes, the policy's steps count nothing; a class without steps leaves its
    share to the others.

    Args:
        counts: steps held, by source; 0 where one is missing.
    """
    held = {source: counts.get(source, 0) for source in IMITATED}
    proven = counts.get(Source.PROVEN, 0)
    held[Source.POLICY] += proven
    if weighting == "person":
        held = {source: held[source] for source in (Source.DEMO, Source.HUMAN, Source.PRAISED)}
    total = sum(held.values())
    if not total:
        return {}
    masses = {source: count / total for source, count in held.items()}
    if weighting == "iwr":
        masses[Source.HUMAN] = sum(mass for source, mass in masses.items() if source is not Source.HUMAN) or 1.0
    elif weighting == "sirius":
        shown = masses[Source.DEMO] + masses[Source.PRAISED]
        masses[Source.HUMAN], masses[Source.PRE_INTERVENTION] = CORRECTIONS, BLAMED
        masses[Source.POLICY] = max(0.0, 1.0 - CORRECTIONS - shown - BLAMED)
    present = {source: mass for source, mass in masses.items() if held[source] and mass > 0.0}
    whole = sum(present.values())
    shares = {source: mass / whole for source, mass in present.items()}
    if proven and Source.POLICY in shares:  # one class of two sources
        both = shares.pop(Source.POLICY)
        shares |= {Source.PROVEN: both * proven / held[Source.POLICY]}
        if proven < held[Source.POLICY]:
            shares[Source.POLICY] = both - shares[Source.PROVEN]
    return shares


def weights_of(source: Tensor, masses: Mapping[Source, float]) -> Tensor:
    """Weight of each row of a batch, so that each source in it has its share of the loss.

    However often the batch holds a source, so that it may be drawn by any mix that is uniform within each source.

    Args:
        source: Shape (B,).
        masses: share of the loss by source; sources without one weigh nothing.

    Returns:
        Shape (B,); sums to B where all sources that have a share are there.
    """
    index = source.long()
    share = torch.zeros(len(Source), device=source.device)
    for of, mass in masses.items():
        share[of] = mass
    held = torch.bincount(index, minlength=len(Source)).clamp(min=1)
    return len(source) * (share / held)[index]


def imitation_mask(source: Tensor) -> Tensor:
    """1 for demonstrations, corrections and what was praised, else 0. Shape (B,)."""
    return ((source == Source.DEMO) | (source == Source.HUMAN) | (source == Source.PRAISED)).to(torch.float32)


def imitated_shares(batch: Batch, gripper: int | None) -> Shares | None:
    """How much of each entry of an action is imitated: of what a person did their own share, of other steps all.

    Args:
        gripper: entry of the action that is a choice of two, or None.

    Returns:
        None where every action was decided as a whole.
    """
    if batch.authority is None:
        return None
    by_person = ((batch.source == Source.DEMO) | (batch.source == Source.HUMAN)).unsqueeze(1)
    share = torch.where(by_person, batch.authority, torch.ones_like(batch.authority))
    if gripper is None:
        return Shares(share, None)
    return Shares(torch.cat([share[:, :gripper], share[:, gripper + 1 :]], dim=1), share[:, gripper])
