from __future__ import annotations

from dataclasses import MISSING, fields, replace

import numpy as np
import pytest

from robot_rlhf.errors import InvalidValueError, ShapeError
from robot_rlhf.safety.limits import DirectLimits, ToolLimits
from tests.safety.laws import LIMITS


@pytest.mark.parametrize("kind", [ToolLimits, DirectLimits])
def test_no_limit_has_a_default(kind: type) -> None:
    assert all(f.default is MISSING and f.default_factory is MISSING for f in fields(kind))


@pytest.mark.parametrize("name", [f.name for f in fields(ToolLimits) if not f.name.startswith("workspace")])
@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_refuses_what_limits_nothing(name: str, value: float) -> None:
    with pytest.raises(InvalidValueError, match=name):
        replace(LIMITS, **{name: value})


def test_names_what_does_not_fit_together() -> None:
    with pytest.raises(InvalidValueError, match="workspace_lower"):
        replace(LIMITS, workspace_lower=np.array([0.6, 0.0, 0.0]))
    with pytest.raises(ShapeError, match="workspace_upper"):
        replace(LIMITS, workspace_upper=np.array([0.6, 0.0]))
    with pytest.raises(InvalidValueError, match="force_soft"):
        replace(LIMITS, force_soft=41.0)
    with pytest.raises(InvalidValueError, match="tilt_max"):
        replace(LIMITS, tilt_max=4.0)
    with pytest.raises(InvalidValueError, match="rate_max"):
        DirectLimits(np.array([np.inf, 0.0]), 1.0, 1.0)
    with pytest.raises(ShapeError, match="rate_max"):
        DirectLimits(np.array([]), 1.0, 1.0)


def test_direct_rates_may_be_free() -> None:
    assert np.isinf(DirectLimits(np.array([np.inf]), 1.0, 1.0).rate_max).all()
