"""What must change: ordered steps, each with its reason. Pure: running and explaining read the same steps."""

from lichen.plan.breaks import Break
from lichen.plan.columns import ColumnChange, Reach
from lichen.plan.diff import plan
from lichen.plan.effects import Known, explained
from lichen.plan.explain import Edit
from lichen.plan.steps import Cost, Plan, Step
from lichen.plan.trunk import Trunk

__all__ = ["Break", "ColumnChange", "Cost", "Edit", "Known", "Plan", "Reach", "Step", "Trunk", "explained", "plan"]
