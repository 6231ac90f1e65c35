"""What must change: ordered steps, each with its reason. Pure: running and explaining read the same steps."""

from lichen.plan.diff import plan
from lichen.plan.steps import Plan, Step
from lichen.plan.trunk import Trunk

__all__ = ["Plan", "Step", "Trunk", "plan"]
